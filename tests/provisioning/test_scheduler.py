"""The scheduler's sweeps while the database comes and goes."""

from __future__ import annotations

from threading import Event

import pytest
from django.db import OperationalError

from provisioning.management.commands import crewship_scheduler
from provisioning.management.commands.crewship_scheduler import keep_sweeping


class Recorder(Event):
    """A stop whose waits are written down instead of waited for."""

    def __init__(self, told: list[object]) -> None:
        super().__init__()
        self.told = told

    def wait(self, timeout: float | None = None) -> bool:
        self.told.append(timeout)
        return self.is_set()


@pytest.mark.django_db
def test_live_workers_may_speak_before_the_first_sweep_after_an_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[object] = []
    stop = Recorder(told)

    def sweep() -> None:
        told.append("sweep")
        if told.count("sweep") == 1:
            raise OperationalError("gone")
        if told.count("sweep") == 3:
            stop.set()

    monkeypatch.setattr(crewship_scheduler, "sweep_jobs", sweep)
    keep_sweeping(stop)
    pause, grace = crewship_scheduler.SWEEP_S, crewship_scheduler.AFTER_OUTAGE_S
    assert told == ["sweep", pause, grace, "sweep", pause, "sweep", pause]
