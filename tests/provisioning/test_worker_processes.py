"""Which workers live, by what they wrote down themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from provisioning.models import WorkerProcess
from provisioning.states import JobState
from provisioning.worker_processes import beat, end, forget_dead_workers, live_workers
from tests.cast import Cast
from tests.conftest import JobMaker

pytestmark = pytest.mark.django_db


def silent(name: str, seconds: float, host_name: str = "local") -> None:
    beat(name, host_name)
    then = timezone.now() - timedelta(seconds=seconds)
    WorkerProcess.objects.filter(pk=name).update(heartbeat_at=then)


def names(host_name: str | None = "local") -> list[str]:
    return [worker.name for worker in live_workers(host_name)]


def test_a_worker_lives_from_its_first_beat_to_its_end() -> None:
    assert names() == []
    beat("one", "local")
    beat("two", "local")
    beat("one", "local")
    assert names() == ["one", "two"]
    end("one")
    assert names() == ["two"]


def test_a_silent_worker_does_not_count() -> None:
    silent("killed", 25)
    silent("busy", 15)
    assert names() == ["busy"]


def test_workers_count_for_their_host() -> None:
    beat("one", "local")
    beat("far", "other")
    assert names() == ["one"]
    assert names(None) == ["one", "far"]


def test_a_worker_shows_the_job_that_it_runs(cast: Cast, make_job: JobMaker) -> None:
    beat("idle", "local")
    beat("busy", "local")
    job = make_job(cast.crew, JobState.RUNNING, worker="busy")
    assert {w.name: w.job_id for w in live_workers("local")} == {"idle": None, "busy": job.pk}


def test_rows_of_dead_workers_are_gone_after_an_hour() -> None:
    silent("long ago", 3700)
    silent("lately", 3500)
    forget_dead_workers()
    assert [worker.name for worker in WorkerProcess.objects.all()] == ["lately"]


def test_a_row_that_was_removed_comes_back_with_the_next_beat() -> None:
    silent("slept", 3700)
    forget_dead_workers()
    beat("slept", "local")
    assert names() == ["slept"]
