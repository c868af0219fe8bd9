from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cache.models import DockerHost, Layer, LayerLease, UpkeepProblem
from crewship.domain.errors import EngineError, EngineUnreachable, ImageInUse
from crewship.engine.base import ContainerSpec
from crewship.engine.fake import FakeEngine
from provisioning import sweep as module
from provisioning.models import ProvisionJob, ProvisionStart, ScratchContainer
from provisioning.states import JobState
from provisioning.sweep import sweep_host, sweep_jobs
from provisioning.worker_processes import beat
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker


@pytest.fixture
def sweep(django_capture_on_commit_callbacks: Any) -> Any:
    def run() -> None:
        with django_capture_on_commit_callbacks(execute=True):
            sweep_jobs()

    return run


def silent(seconds: float) -> dict[str, Any]:
    return {"heartbeat_at": timezone.now() - timedelta(seconds=seconds)}


def test_a_job_with_a_heartbeat_is_left_alone(sweep: Any, cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.RUNNING, **silent(14))
    sweep()
    job.refresh_from_db()
    assert (job.state, job.fence) == (JobState.RUNNING, 1)


def test_a_job_of_a_lost_worker_is_pending_again_and_knocked_for(
    sweep: Any, cast: Cast, make_job: JobMaker, knocks: list[str]
) -> None:
    job = make_job(cast.crew, JobState.RUNNING, step=3, **silent(16))
    sweep()
    job.refresh_from_db()
    assert (job.state, job.fence, job.lost_workers) == (JobState.PENDING, 2, 1)
    assert job.step == 0
    assert len(knocks) == 1


def test_its_second_lost_worker_fails_it_and_its_followers(
    sweep: Any, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.RUNNING, lost_workers=1, **silent(16))
    follower = make_job(make_crew(cast.workspace, "one"), leader=job)
    sweep()
    job.refresh_from_db()
    follower.refresh_from_db()
    assert (job.state, job.error_code) == (JobState.FAILED, "worker_lost")
    assert (follower.state, follower.error_code) == (JobState.FAILED, "worker_lost")


def test_a_follower_of_a_requeued_job_still_waits(
    sweep: Any, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.RUNNING, **silent(16))
    follower = make_job(make_crew(cast.workspace, "one"), leader=job)
    sweep()
    follower.refresh_from_db()
    assert (follower.state, follower.leader) == (JobState.PENDING, job)


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
def test_an_orphan_of_a_leader_that_ended_goes_on(
    state: JobState, sweep: Any, cast: Cast, make_job: JobMaker, knocks: list[str]
) -> None:
    leader = make_job(cast.crew, state)
    orphan = make_job(make_crew(cast.workspace, "one"), leader=leader)
    sweep()
    orphan.refresh_from_db()
    assert (orphan.state, orphan.leader) == (JobState.PENDING, None)
    assert orphan.pk in knocks or "sweep" in knocks


def test_pending_work_is_knocked_for_when_the_queue_is_empty(
    sweep: Any, cast: Cast, make_job: JobMaker, knocks: list[str]
) -> None:
    make_job(cast.crew)
    sweep()
    sweep()  # the queue has a message now
    assert knocks == ["sweep"]


def test_without_pending_work_nobody_is_called(
    sweep: Any, cast: Cast, make_job: JobMaker, knocks: list[str]
) -> None:
    make_job(cast.crew, JobState.RUNNING)
    sweep()
    assert knocks == []


@pytest.mark.parametrize("part", ["_take_from_lost_worker", "promote_followers"])
def test_a_job_that_cannot_be_handled_stops_only_itself(
    part: str,
    sweep: Any,
    cast: Cast,
    make_job: JobMaker,
    knocks: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, lost = (
        make_job(make_crew(cast.workspace, name), JobState.RUNNING, **silent(16))
        for name in ("bad", "lost")
    )
    leaders = [make_job(cast.crew, JobState.FAILED) for _ in "ab"]
    orphans = [
        make_job(make_crew(cast.workspace, f"o{number}"), leader=leader)
        for number, leader in enumerate(leaders)
    ]
    real = getattr(module, part)

    def break_one(job: ProvisionJob, *rest: Any) -> None:
        if job in (bad, leaders[0]):
            raise KeyError("state")
        real(job, *rest)

    monkeypatch.setattr(module, part, break_one)
    sweep()
    lost.refresh_from_db()
    assert lost.state == JobState.PENDING
    assert ProvisionJob.objects.get(pk=orphans[1].pk).leader is None
    assert knocks
    (problem,) = UpkeepProblem.objects.all()
    assert problem.name in (bad.pk, leaders[0].pk)
    assert problem.host is None


def test_old_starts_are_pruned(sweep: Any, cast: Cast) -> None:
    now = timezone.now()
    for ago in (10, 59, 121):
        ProvisionStart.objects.create(workspace=cast.workspace, at=now - timedelta(seconds=ago))
    sweep()
    assert ProvisionStart.objects.count() == 2


# -- beside the engine


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.add_image("debian:bookworm-slim")
    return engine


def all_pauses_are_over() -> None:
    UpkeepProblem.objects.update(retry_at=timezone.now() - timedelta(seconds=1))


def left_by_a_dead_job(engine: FakeEngine, host: DockerHost, *names: str) -> None:
    for name in names:
        container(engine, name)
        ScratchContainer.objects.create(host=host, name=name, job_id="job_dead", fence=1)


def test_a_container_that_cannot_be_removed_stops_only_itself(
    engine: FakeEngine, host: DockerHost
) -> None:
    left_by_a_dead_job(engine, host, "a", "b")
    draft(host, "job_dead")
    LayerLease.objects.create(host=host, key="k", job_id="job_dead", fence=1)
    engine.fail_next("remove_container", EngineError("driver failed"))
    sweep_host(engine, host)
    assert engine.container_names("") == ["a"]
    assert not Layer.objects.exists()
    assert not LayerLease.objects.exists()
    problem = UpkeepProblem.objects.get()
    assert (problem.kind, problem.name, problem.error) == (
        "remove build container", "a", "driver failed",
    )  # fmt: skip


def test_it_is_left_alone_for_a_while_and_then_removed(
    engine: FakeEngine, host: DockerHost
) -> None:
    left_by_a_dead_job(engine, host, "a")
    engine.fail_next("remove_container", EngineError("driver failed"))
    sweep_host(engine, host)
    sweep_host(engine, host)
    assert len(engine.call_args("remove_container")) == 1
    all_pauses_are_over()
    sweep_host(engine, host)
    assert engine.container_names("") == []
    assert not UpkeepProblem.objects.exists()


def test_an_engine_that_is_away_is_no_containers_fault(
    engine: FakeEngine, host: DockerHost
) -> None:
    left_by_a_dead_job(engine, host, "a")
    engine.unreachable = True
    with pytest.raises(EngineUnreachable):
        sweep_host(engine, host)
    assert not UpkeepProblem.objects.exists()


def container(engine: FakeEngine, name: str) -> None:
    engine.create_container(ContainerSpec(name=name, image="debian:bookworm-slim"))


def test_a_container_of_a_dead_job_is_removed_by_its_name(
    engine: FakeEngine, host: DockerHost
) -> None:
    container(engine, "crewship-build-a-1-user-1")
    ScratchContainer.objects.create(
        host=host, name="crewship-build-a-1-user-1", job_id="job_a", fence=1
    )
    sweep_host(engine, host)
    assert engine.container_names("") == []
    assert not ScratchContainer.objects.exists()


def test_a_container_of_a_running_job_stays(
    engine: FakeEngine, host: DockerHost, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    container(engine, "mine")
    ScratchContainer.objects.create(host=host, name="mine", job_id=job.pk, fence=job.fence)
    sweep_host(engine, host)
    assert engine.container_names("") == ["mine"]


def test_a_container_of_the_jobs_former_worker_goes(
    engine: FakeEngine, host: DockerHost, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.RUNNING, fence=2)
    container(engine, "old")
    ScratchContainer.objects.create(host=host, name="old", job_id=job.pk, fence=1)
    sweep_host(engine, host)
    assert engine.container_names("") == []


def test_a_container_without_a_record_is_never_touched(
    engine: FakeEngine, host: DockerHost
) -> None:
    container(engine, "crewship-build-somebody-elses-1")
    sweep_host(engine, host)
    assert engine.container_names("") == ["crewship-build-somebody-elses-1"]


def draft(host: DockerHost, job_id: str, **fields: Any) -> Layer:
    values = {"key": "k", "tag": "crewship-layer:k", "kind": "feature", "label": "x", **fields}
    return Layer.objects.create(host=host, job_id=job_id, last_used_at=timezone.now(), **values)


def test_a_half_made_layer_of_a_dead_job_goes(engine: FakeEngine, host: DockerHost) -> None:
    engine.add_image("crewship-layer:k")
    draft(host, "job_dead")
    sweep_host(engine, host)
    assert engine.image("crewship-layer:k") is None
    assert not Layer.objects.exists()


def test_a_finished_layer_stays(engine: FakeEngine, host: DockerHost) -> None:
    draft(host, "job_dead", image_id=engine.add_image("crewship-layer:k"))
    sweep_host(engine, host)
    assert engine.image("crewship-layer:k") is not None


def test_a_draft_of_a_running_job_stays(
    engine: FakeEngine, host: DockerHost, cast: Cast, make_job: JobMaker
) -> None:
    draft(host, make_job(cast.crew, JobState.RUNNING).pk)
    sweep_host(engine, host)
    assert Layer.objects.exists()


def test_a_draft_that_is_in_use_is_tried_again(engine: FakeEngine, host: DockerHost) -> None:
    draft(host, "job_dead")
    engine.fail_next("remove_image", ImageInUse("in use"))
    sweep_host(engine, host)
    assert Layer.objects.exists()
    all_pauses_are_over()
    sweep_host(engine, host)
    assert not Layer.objects.exists()


def test_leases_of_dead_jobs_go(
    engine: FakeEngine, host: DockerHost, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    LayerLease.objects.create(host=host, key="a", job_id=job.pk, fence=job.fence)
    LayerLease.objects.create(host=host, key="b", job_id="job_dead", fence=1)
    sweep_host(engine, host)
    assert [lease.key for lease in LayerLease.objects.all()] == ["a"]


def test_another_hosts_leftovers_are_its_own(engine: FakeEngine, host: DockerHost) -> None:
    other = DockerHost.objects.create(name="other")
    ScratchContainer.objects.create(host=other, name="x", job_id="job_dead", fence=1)
    draft(other, "job_dead")
    sweep_host(engine, host)
    assert ScratchContainer.objects.exists()
    assert Layer.objects.exists()
    assert ProvisionJob.objects.count() == 0


def test_every_idle_worker_is_called_for_work_that_waits(
    sweep: Any, cast: Cast, make_job: JobMaker, host: DockerHost, knocks: list[str]
) -> None:
    for name in ("one", "two", "three"):
        beat(name, host.name)
    make_job(make_crew(cast.workspace, "runs"), JobState.RUNNING, worker="one")
    for number in range(5):
        make_job(make_crew(cast.workspace, f"waits-{number}"))
    sweep()
    assert len(knocks) == 2


def test_nobody_is_called_while_the_host_is_lost(
    sweep: Any, cast: Cast, make_job: JobMaker, knocks: list[str]
) -> None:
    make_job(cast.crew)
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))
    sweep()
    assert knocks == []


def test_a_redis_that_is_away_is_asked_once_a_sweep(
    sweep: Any, cast: Cast, make_job: JobMaker, host: DockerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call may take seconds when it hangs, and lost workers wait for this sweep."""
    asked: list[str] = []

    def away(job_id: str) -> bool:
        asked.append(job_id)
        return False

    monkeypatch.setattr("provisioning.sweep.knock", away)
    for name in ("one", "two", "three"):
        beat(name, host.name)
    make_job(cast.crew)
    sweep()
    assert asked == ["sweep"]
