"""Periodic work that needs the database only; one process in an installation (two do no harm)."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from functools import partial
from threading import Event, Thread
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError

from cache.upkeep import Kind, Outage, Upkeep, forget_duties
from catalogs.refresh import keep_fresh
from crewship.crews.services import refresh_hashes
from crewship.web.database import close_connection
from provisioning.prune import duty_names, keep_pruning
from provisioning.scheduler_state import SchedulerPulse
from provisioning.sweep import sweep_jobs
from provisioning.toolbox import catalog_sources

log = logging.getLogger(__name__)

SWEEP_S = 3.0  # a lost worker must be seen well within 30 s, on a busy machine too
AFTER_OUTAGE_S = 8.0  # longer than between two heartbeats of a job


class Command(BaseCommand):
    help = "Sweep lost jobs every 3 s, refresh the catalogs every 6 h, prune daily, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        # A thread to be left behind: a registry that hangs must hold up neither sweep nor end.
        sources = partial(catalog_sources, settings.CREWSHIP)
        Thread(target=keep_fresh, args=(sources, stop), name="catalogs", daemon=True).start()
        Thread(target=keep_pruning, args=(stop,), name="prune", daemon=True).start()
        keep_sweeping(stop)


def keep_sweeping(stop: Event) -> None:
    """Does its duties every SWEEP_S until ``stop`` is set; one that fails keeps no other.

    After an outage of the database it waits first until the workers that live could say so: the
    outage kept their heartbeats back, too.
    """
    pulse = "scheduler heartbeat"
    duties = {
        pulse: SchedulerPulse().beat,
        "sweep jobs": sweep_jobs,
        "refresh crew hashes": once(refresh_hashes),
    }
    upkeep, outage = Upkeep(Kind.DUTY), Outage(log)
    forget_unknown = once(lambda: forget_duties(None, [*duties, *duty_names()]))
    was_away = False
    while not stop.is_set():
        try:
            if was_away:
                upkeep.attempt(pulse, duties[pulse])  # a write: a full disk lets all reads pass
                stop.wait(AFTER_OUTAGE_S)
                was_away = False
            forget_unknown()
            for name, work in duties.items():
                upkeep.attempt(name, work)
            outage.over("the database answers again")
        except DatabaseError as err:
            outage.began(f"the database does not answer: {err}")
            close_connection()
            was_away = True
        stop.wait(SWEEP_S)


def once(work: Callable[[], object]) -> Callable[[], None]:
    """The work as a duty that has nothing more to do when it was done."""
    done = False

    def do() -> None:
        nonlocal done
        if not done:
            work()
            done = True

    return do
