"""The watcher of this machine's Docker host; exactly one beside each engine."""

from __future__ import annotations

import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand

from provisioning.toolbox import host_engine
from provisioning.watcher import HostWatcher


class Command(BaseCommand):
    help = "Write heartbeat and images of this Docker host to the database until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        HostWatcher(host_engine(), stop).run()
