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
from provisioning.claim import claim_next, runnable_exists, waiting_texts
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from provisioning.worker_processes import beat
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


# -- sharing a host's workers


@pytest.fixture
def workers(host: DockerHost) -> Callable[[int], None]:
    """So many workers of the host live."""

    def start(count: int) -> None:
        for number in range(count):
            beat(f"worker-{number}", host.name)

    return start


def test_a_workspace_leaves_one_worker_to_others_though_nobody_waits(
    claim: Any, cast: Cast, queue: Any, workers: Any, make_job: JobMaker, host: DockerHost
) -> None:
    workers(3)
    make_job(make_crew(cast.strange_workspace, "earlier"), JobState.COMPLETED)
    queue(cast.workspace, 4)
    assert claim()
    assert claim()
    assert claim() is None
    assert not runnable_exists(host.pk)
    queue(cast.strange_workspace, 1)
    assert claim().workspace == cast.strange_workspace


def test_one_workspace_alone_uses_every_worker(
    claim: Any, cast: Cast, queue: Any, workers: Any
) -> None:
    workers(2)
    queue(cast.workspace, 3)
    assert [claim() is None for _ in range(3)] == [False, False, False]


def test_a_workspace_that_was_quiet_for_a_day_reserves_nothing(
    claim: Any, cast: Cast, queue: Any, workers: Any, make_job: JobMaker
) -> None:
    workers(2)
    long_ago = timezone.now() - timedelta(hours=25)
    crew = make_crew(cast.strange_workspace, "earlier")
    make_job(crew, JobState.COMPLETED, created_at=long_ago)
    queue(cast.workspace, 2)
    assert claim()
    assert claim()


def test_a_single_worker_serves_all_workspaces(
    claim: Any, cast: Cast, queue: Any, workers: Any
) -> None:
    workers(1)
    queue(cast.workspace, 1)
    queue(cast.strange_workspace, 1)
    assert claim()
    assert claim()


def test_the_share_counts_what_runs_on_this_host(
    claim: Any, cast: Cast, queue: Any, workers: Any, make_job: JobMaker
) -> None:
    workers(2)
    other = DockerHost.objects.create(name="other")
    make_job(make_crew(cast.workspace, "far"), JobState.RUNNING, host=other)
    make_job(make_crew(cast.strange_workspace, "earlier"), JobState.COMPLETED)
    queue(cast.workspace, 1)
    assert claim()


# -- a host that is away


def test_nothing_is_claimed_while_the_host_is_lost(
    claim: Any, queue: Any, cast: Cast, host: DockerHost
) -> None:
    queue(cast.workspace, 1)
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))
    assert claim() is None
    assert not runnable_exists(host.pk)
    DockerHost.objects.update(heartbeat_at=timezone.now() + timedelta(days=1))
    assert claim()


# -- what those who wait are told


def test_waiting_jobs_say_what_is_in_the_way(
    claim: Any, cast: Cast, queue: Any, workers: Any, make_job: JobMaker
) -> None:
    [first, second] = queue(cast.workspace, 2)
    assert set(waiting_texts([first, second]).values()) == {"waiting: no worker is running"}
    workers(2)
    assert waiting_texts([first, second]) == {}
    make_job(make_crew(cast.strange_workspace, "earlier"), JobState.COMPLETED)
    first = claim()
    assert waiting_texts([first, second]) == {
        second.pk: "waiting: its workspace already runs on all workers but one"
    }
    Workspace.objects.filter(pk=cast.workspace.pk).update(running_limit=1)
    assert waiting_texts([second]) == {
        second.pk: "waiting: its workspace runs as many jobs as it may"
    }
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))
    assert waiting_texts([second]) == {second.pk: "waiting: the Docker host does not answer"}


def test_the_texts_of_many_jobs_cost_as_much_as_those_of_one(
    cast: Cast, queue: Any, django_assert_max_num_queries: Any
) -> None:
    jobs = queue(cast.workspace, 5) + queue(cast.strange_workspace, 5)
    with django_assert_max_num_queries(6):
        waiting_texts(jobs)


# -- following a job of another workspace


def test_a_follower_does_not_wait_in_its_leaders_line(
    claim: Any, cast: Cast, queue: Any, make_job: JobMaker
) -> None:
    """Both workspaces asked for one image; the leader stands behind others of its own."""
    Workspace.objects.filter(pk=cast.workspace.pk).update(running_limit=1)
    [first, leader] = queue(cast.workspace, 2)
    also = make_job(make_crew(cast.workspace, "also"), leader=leader)
    follower = make_job(make_crew(cast.strange_workspace, "same"), leader=leader)
    assert [claim().pk, claim().pk] == [first.pk, follower.pk]
    for job in (leader, also, follower):
        job.refresh_from_db()
    assert follower.leader is None
    assert [leader.leader, also.leader] == [follower, follower]
    assert claim() is None


def test_a_rebuild_does_not_become_a_follower(
    claim: Any, cast: Cast, queue: Any, make_job: JobMaker
) -> None:
    Workspace.objects.filter(pk=cast.workspace.pk).update(running_limit=1)
    [first] = queue(cast.workspace, 1)
    leader = make_job(make_crew(cast.workspace, "afresh"), rebuild=True)
    follower = make_job(make_crew(cast.strange_workspace, "same"), leader=leader)
    assert [claim().pk, claim().pk] == [first.pk, follower.pk]
    leader.refresh_from_db()
    assert leader.leader is None


def test_a_follower_of_its_own_workspace_waits(
    claim: Any, cast: Cast, queue: Any, make_job: JobMaker
) -> None:
    [leader] = queue(cast.workspace, 1)
    make_job(
        make_crew(cast.workspace, "same"),
        leader=leader,
        created_at=timezone.now() - timedelta(minutes=1),
    )
    assert claim().pk == leader.pk
    assert claim() is None
