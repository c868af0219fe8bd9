"""The scheduler's sign of life."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cache.models import DockerHost
from provisioning import scheduler_state
from provisioning.health import installation_health
from provisioning.models import SchedulerState
from provisioning.scheduler_state import SchedulerPulse
from provisioning.worker_processes import beat


def test_a_beat_is_a_sign_of_life(db: None) -> None:
    assert not installation_health().scheduler.is_alive
    SchedulerPulse().beat()
    SchedulerPulse().beat()
    assert installation_health().scheduler.is_alive
    assert SchedulerState.objects.count() == 1


def test_pages_are_told_when_provisioning_stops_and_goes_on(
    host: DockerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(scheduler_state, "announce", told.append)
    pulse = SchedulerPulse()
    beat("worker-1", host.name)
    pulse.beat()
    told.clear()
    for seconds, news in ((0, 0), (6, 1), (9, 1), (0, 2)):
        DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=seconds))
        pulse.beat()
        assert told == ["health"] * news
