"""What a knock does: the job whose turn it is, on this host, once."""

from __future__ import annotations

from threading import Event

import pytest

from cache.models import DockerHost
from provisioning import tasks
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No signal handler of a worker in the tests' process; the test's connection stays open."""
    monkeypatch.setattr(tasks, "_listen_for_stop", lambda: None)
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    monkeypatch.setattr(tasks, "stopping", Event())
    monkeypatch.setattr(tasks, "engine_answers", lambda: True)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    jobs: list[str] = []
    monkeypatch.setattr(tasks, "run_job", lambda job, _stopping: jobs.append(job.pk))
    return jobs


def test_the_job_that_waits_longest_is_run_whoever_knocked(
    cast: Cast, make_job: JobMaker, ran: list[str], knocks: list[str]
) -> None:
    first = make_job(cast.crew)
    second = make_job(make_crew(cast.workspace, "two"))
    tasks.run_provision(second.pk)
    assert ran == [first.pk]
    assert len(knocks) == 1  # for the one that is left


def test_nothing_to_do_is_no_error(host: DockerHost, ran: list[str], knocks: list[str]) -> None:
    tasks.run_provision("job_gone")
    assert (ran, knocks) == ([], [])


@pytest.mark.django_db
def test_an_unregistered_host_runs_nothing(ran: list[str]) -> None:
    tasks.run_provision("job_x")
    assert ran == []


def test_a_stopping_worker_claims_nothing(cast: Cast, make_job: JobMaker, ran: list[str]) -> None:
    make_job(cast.crew)
    tasks.stopping.set()
    tasks.run_provision("job_x")
    assert ran == []
    assert ProvisionJob.objects.get().state == JobState.PENDING


def test_a_job_that_blows_up_still_knocks_for_the_next(
    cast: Cast, make_job: JobMaker, knocks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*_args: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(tasks, "run_job", boom)
    make_job(cast.crew)
    make_job(make_crew(cast.workspace, "two"))
    with pytest.raises(RuntimeError):
        tasks.run_provision("job_x")
    assert len(knocks) == 1


def test_nothing_is_claimed_while_the_engine_does_not_answer(
    cast: Cast, make_job: JobMaker, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's heartbeat is seconds old at best: the engine itself is asked."""
    monkeypatch.setattr(tasks, "engine_answers", lambda: False)
    job = make_job(cast.crew)
    tasks.run_provision(job.pk)
    job.refresh_from_db()
    assert (ran, job.state, job.fence) == ([], JobState.PENDING, 0)
