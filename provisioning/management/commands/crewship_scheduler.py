"""Periodic work that needs the database only; one process in an installation (two do no harm)."""

from __future__ import annotations

import logging
import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.db import close_old_connections

from crewship.crews.services import refresh_hashes
from provisioning.sweep import sweep_jobs

log = logging.getLogger(__name__)

SWEEP_S = 5.0


class Command(BaseCommand):
    help = "Sweep lost jobs every 5 s until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        refresh_hashes()
        while not stop.is_set():
            try:
                sweep_jobs()
            except DatabaseError as err:
                log.warning("the database does not answer: %s", err)
                close_old_connections()
            stop.wait(SWEEP_S)
