"""Which job is run next: turns between workspaces, their limits, the fence."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cache.models import DockerHost
from crewship.workspaces.models import Workspace
from provisioning.claim import claim_next, runnable_exists
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker


@pytest.fixture
def claim(host: DockerHost) -> Callable[[], ProvisionJob | None]:
    return lambda: claim_next(host.pk, "w:1")


@pytest.fixture
def queue(make_job: JobMaker) -> Callable[..., list[ProvisionJob]]:
    def fill(workspace: Workspace, count: int) -> list[ProvisionJob]:
        prefix = workspace.jobs.count()
        return [make_job(make_crew(workspace, f"q{prefix + n}")) for n in range(count)]

    return fill


def test_without_pending_jobs_there_is_nothing(claim: Any, cast: Cast, host: DockerHost) -> None:
    assert claim() is None
    assert not runnable_exists(host.pk)


def test_a_claimed_job_runs_under_a_new_fence(claim: Any, cast: Cast, make_job: JobMaker) -> None:
    make_job(cast.crew, fence=4, step=3, message="old")
    job = claim()
    assert (job.state, job.fence, job.worker) == (JobState.RUNNING, 5, "w:1")
    assert (job.step, job.message) == (0, "")
    assert job.started_at is not None
    assert abs(job.heartbeat_at - timezone.now()) < timedelta(seconds=5)
    assert claim() is None


def test_the_oldest_of_a_workspace_comes_first(claim: Any, cast: Cast, queue: Any) -> None:
    jobs = queue(cast.workspace, 3)
    assert [claim().pk for _ in jobs] == [job.pk for job in jobs]


def test_workspaces_take_turns(claim: Any, cast: Cast, queue: Any) -> None:
    queue(cast.workspace, 5)
    queue(cast.strange_workspace, 2)
    turns = [claim().workspace.slug for _ in range(7)]
    assert sorted(turns[:4]) == ["acme", "acme", "evil", "evil"]
    assert turns[4:] == ["acme"] * 3


def test_a_late_workspace_does_not_wait_for_a_flood(claim: Any, cast: Cast, queue: Any) -> None:
    queue(cast.workspace, 10)
    for _ in range(3):
        claim()
    queue(cast.strange_workspace, 1)
    assert claim().workspace == cast.strange_workspace


def test_turns_alternate_when_each_job_ends_at_once(claim: Any, cast: Cast, queue: Any) -> None:
    queue(cast.workspace, 4)
    queue(cast.strange_workspace, 4)
    turns = []
    for _ in range(8):
        job = claim()
        turns.append(job.workspace.slug)
        ProvisionJob.objects.filter(pk=job.pk).delete()
    assert set(itertools.pairwise(turns)) == {("acme", "evil"), ("evil", "acme")}


def test_a_workspace_at_its_limit_waits(
    claim: Any, cast: Cast, queue: Any, set_limits: Callable[..., Any], host: DockerHost
) -> None:
    set_limits(running_per_workspace=2)
    queue(cast.workspace, 3)
    assert claim()
    assert claim()
    assert claim() is None
    assert not runnable_exists(host.pk)
    queue(cast.strange_workspace, 1)
    assert claim().workspace == cast.strange_workspace


def test_a_workspaces_own_limit_wins(claim: Any, cast: Cast, queue: Any) -> None:
    Workspace.objects.filter(pk=cast.workspace.pk).update(running_limit=1)
    queue(cast.workspace, 2)
    assert claim()
    assert claim() is None


def test_followers_are_not_run(claim: Any, cast: Cast, make_job: JobMaker) -> None:
    leader = make_job(cast.crew, JobState.RUNNING)
    make_job(make_crew(cast.workspace, "one"), leader=leader)
    assert claim() is None


def test_jobs_of_another_host_are_not_run(claim: Any, cast: Cast, make_job: JobMaker) -> None:
    make_job(cast.crew, host=DockerHost.objects.create(name="other"))
    assert claim() is None


def test_a_job_that_another_worker_took_is_passed_over(
    cast: Cast, queue: Any, host: DockerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other worker wins between our look and our write."""
    from provisioning import claim as module

    first, second = queue(cast.workspace, 2)
    look = module._next

    def look_late(host_id: str) -> ProvisionJob | None:
        job = look(host_id)
        if job is not None and job.pk == first.pk:
            ProvisionJob.objects.filter(pk=first.pk).update(state="running", fence=1)
        return job

    monkeypatch.setattr(module, "_next", look_late)
    job = claim_next(host.pk, "w:2")
    assert job is not None
    assert job.pk == second.pk
