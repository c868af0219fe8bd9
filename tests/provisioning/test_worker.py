"""One claimed job around the pipeline: how it ends in the records, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.db import DatabaseError

from cache.models import CachedImage, Layer
from crewship.crews.models import Crew
from crewship.domain.errors import ConfigError, ContainerGone, EngineUnreachable
from crewship.engine.fake import FakeExec, FakeRun
from provisioning import worker
from provisioning.claim import claim_next
from provisioning.ledger import DatabaseLedger
from provisioning.models import ProvisionJob, ScratchContainer
from provisioning.pipeline.execute import execute
from provisioning.services import cancel_provision
from provisioning.states import EventKind, JobState
from provisioning.sweep import sweep_host
from provisioning.worker import run_job
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker
from tests.provisioning.pipeline.kit import Kit, feature_of, features

# Watchdog and emitter are threads with database connections of their own.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    kit = Kit(tmp_path / "mise")
    kit.features.publish("one:1")
    return kit


@pytest.fixture
def crew(cast: Cast) -> Crew:
    config = {"image": "debian:bookworm-slim", "features": features(one={})}
    return make_crew(cast.workspace, "built", config)


@pytest.fixture
def job(crew: Crew, make_job: JobMaker) -> ProvisionJob:
    made = make_job(crew)
    claimed = claim_next(made.host_id, "w:1")
    assert claimed is not None
    return claimed


@pytest.fixture(autouse=True)
def _tools(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline works on the kit's engine, and on the database's ledger."""

    def tools_for(job: ProvisionJob, host: Any, emit: Any, cancel: Event) -> Any:
        ledger = DatabaseLedger(host=host, job_id=job.pk, fence=job.fence, cancel=cancel)
        return replace(kit.tools(), ledger=ledger, emit=emit, cancel=cancel)

    monkeypatch.setattr(worker, "tools_for", tools_for)
    monkeypatch.setattr(worker, "engine_answers", lambda: not kit.engine.unreachable)
    monkeypatch.setattr(worker, "LOOK_S", 0.01)


@pytest.fixture
def within(kit: Kit) -> Callable[[Callable[[], object]], None]:
    """``within(act)``: ``act`` happens while the feature's script runs, which then goes on until
    it is stopped."""

    def arrange(act: Callable[[], object]) -> None:
        def handler(call: FakeExec) -> FakeRun | None:
            if not feature_of(call):
                return None
            act()
            return FakeRun("begun\n", sleep_s=30)

        kit.engine.on_exec(handler)

    return arrange


def kinds(job: ProvisionJob) -> list[str]:
    return list(job.events.order_by("seq").values_list("kind", flat=True))


def test_a_job_is_completed_and_its_crew_linked(job: ProvisionJob, crew: Crew) -> None:
    run_job(job, Event())
    job.refresh_from_db()
    crew.refresh_from_db()
    image = CachedImage.objects.get()
    assert (job.state, job.step, job.error) == (JobState.COMPLETED, 6, "")
    assert crew.cached_image == image.tag
    assert job.image_id == image.image_id
    assert job.resolved_features[0]["ref"] == "ghcr.io/devcontainers/features/one:1"
    assert kinds(job)[-1] == EventKind.STATE
    assert kinds(job).count(EventKind.STEP_STARTED) == kinds(job).count(EventKind.STEP_DONE) == 6
    assert not ScratchContainer.objects.exists()


def test_a_failed_job_has_its_error_and_log(job: ProvisionJob, kit: Kit) -> None:
    def broken(call: FakeExec) -> FakeRun | None:
        return FakeRun("E: broken\n", 3) if feature_of(call) else None

    kit.engine.on_exec(broken)
    run_job(job, Event())
    job.refresh_from_db()
    assert (job.state, job.error_code) == (JobState.FAILED, "build_step_failed")
    assert "exit code 3" in job.error
    assert "E: broken" in job.error
    assert job.step == 3
    assert EventKind.STEP_FAILED in kinds(job)
    assert {"lines": ["E: broken"]} in list(job.events.values_list("data", flat=True))
    assert kit.engine.container_names("") == []


def test_a_fault_of_ours_fails_the_job_without_internals_and_is_raised(
    job: ProvisionJob, kit: Kit
) -> None:
    kit.engine.fail_next("commit", RuntimeError("secret detail"))
    with pytest.raises(RuntimeError):
        run_job(job, Event())
    job.refresh_from_db()
    assert (job.state, job.error_code) == (JobState.FAILED, "internal")
    assert "secret" not in job.error


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("no catalog"), "config_invalid"), (OSError("no bundle"), "internal")],
)
def test_a_job_whose_tools_cannot_be_made_fails_at_once(
    error: Exception, code: str, job: ProvisionJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise error

    monkeypatch.setattr(worker, "tools_for", refuse)
    if code == "internal":
        with pytest.raises(OSError, match="no bundle"):
            run_job(job, Event())
    else:
        run_job(job, Event())
    job.refresh_from_db()
    assert (job.state, job.error_code) == (JobState.FAILED, code)


# -- an engine that goes away


@pytest.fixture
def stopped_engine(kit: Kit) -> None:
    """The engine is gone from the moment in which the feature's script runs."""

    def gone(call: FakeExec) -> FakeRun | None:
        if feature_of(call):
            kit.engine.unreachable = True
            raise EngineUnreachable("The Docker engine does not answer (asking for an exit code).")
        return None

    kit.engine.on_exec(gone)


@pytest.mark.usefixtures("stopped_engine")
def test_a_job_whose_engine_goes_away_is_pending_again(job: ProvisionJob) -> None:
    run_job(job, Event())
    job.refresh_from_db()
    assert (job.state, job.lost_engines, job.lost_workers) == (JobState.PENDING, 1, 0)
    assert (job.error, job.error_code, job.step) == ("", "", 0)
    assert job.message == "the Docker engine went away; waiting for it"
    last = job.events.get(seq=job.last_seq)
    assert last.kind == EventKind.STATE
    assert last.data == {
        "state": "pending",
        "reason": "engine_lost",
        "error": "The Docker engine went away during: Feature ghcr.io/devcontainers/features/one:1",
    }


@pytest.mark.usefixtures("stopped_engine")
def test_the_second_time_it_fails_and_says_what_was_under_way(job: ProvisionJob, kit: Kit) -> None:
    run_job(job, Event())
    kit.engine.unreachable = False
    again = claim_next(job.host_id, "w:2")
    assert again is not None
    run_job(again, Event())
    again.refresh_from_db()
    assert (again.state, again.error_code) == (JobState.FAILED, "engine_lost")
    assert again.error.startswith("The Docker engine went away during: Feature ghcr.io")
    assert again.error_hint


def test_what_an_ending_engine_killed_is_no_failure_of_the_step(
    job: ProvisionJob, kit: Kit
) -> None:
    """An engine that is told to stop kills its containers before it is gone itself."""

    def killed(call: FakeExec) -> FakeRun | None:
        if not feature_of(call):
            return None
        kit.engine.unreachable = True
        return FakeRun("half a line", 137)

    kit.engine.on_exec(killed)
    run_job(job, Event())
    job.refresh_from_db()
    assert (job.state, job.lost_engines) == (JobState.PENDING, 1)


def test_a_container_that_somebody_removed_is_tried_once_more(job: ProvisionJob, kit: Kit) -> None:
    """Also what is left of a container when the engine was restarted within a moment."""

    def gone(call: FakeExec) -> FakeRun | None:
        if feature_of(call):
            raise ContainerGone("The container is gone (running /bin/sh).")
        return None

    kit.engine.on_exec(gone)
    run_job(job, Event())
    job.refresh_from_db()
    assert (job.state, job.lost_engines) == (JobState.PENDING, 1)
    again = claim_next(job.host_id, "w:2")
    assert again is not None
    run_job(again, Event())
    again.refresh_from_db()
    assert (again.state, again.error_code) == (JobState.FAILED, "container_gone")
    assert "during: Feature ghcr.io" in again.error


def test_a_config_that_became_illegal_fails_the_job(job: ProvisionJob) -> None:
    job.devcontainer_config = '{"privileged": true}'
    run_job(job, Event())
    job.refresh_from_db()
    assert (job.state, job.error_code) == (JobState.FAILED, "config_invalid")


def test_a_cancelled_job_stops_and_stays_cancelled(
    job: ProvisionJob, crew: Crew, kit: Kit, within: Any
) -> None:
    within(lambda: cancel_provision(crew))
    run_job(job, Event())
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.CANCELLED, "")
    assert kit.engine.container_names("") == []
    assert not CachedImage.objects.exists()


def test_a_stopping_worker_hands_the_job_back(job: ProvisionJob, kit: Kit, within: Any) -> None:
    stopping = Event()
    within(stopping.set)
    run_job(job, stopping)
    job.refresh_from_db()
    assert (job.state, job.lost_workers, job.step) == (JobState.PENDING, 0, 0)
    assert kit.engine.container_names("") == []
    assert Layer.objects.filter(kind="user").exists()  # serves whoever takes the job up


def test_a_job_above_its_time_fails(
    job: ProvisionJob, kit: Kit, within: Any, set_limits: Callable[..., Any]
) -> None:
    set_limits(job_timeout_s=0)
    within(lambda: None)
    run_job(job, Event())
    job.refresh_from_db()
    assert (job.state, job.error_code) == (JobState.FAILED, "job_timeout")


def test_a_zombie_writes_nothing(job: ProvisionJob, kit: Kit, within: Any) -> None:
    """The sweep gave the job to another worker while this one slept."""

    def fence_off() -> None:
        ProvisionJob.objects.filter(pk=job.pk).update(fence=9, worker="w:2", message="theirs")

    within(fence_off)
    run_job(job, Event())
    job.refresh_from_db()
    assert (job.state, job.fence, job.message) == (JobState.RUNNING, 9, "theirs")


def test_a_job_whose_crew_is_deleted_stops(job: ProvisionJob, crew: Crew, within: Any) -> None:
    within(lambda: Crew.objects.filter(pk=crew.pk).delete())
    run_job(job, Event())
    assert not ProvisionJob.objects.exists()
    assert not CachedImage.objects.exists()


def test_a_job_taken_away_at_the_very_end_leaves_no_image(
    job: ProvisionJob, crew: Crew, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = execute

    def then_cancelled(*args: Any) -> Any:
        built = real(*args)
        cancel_provision(crew)
        return built

    monkeypatch.setattr(worker, "execute", then_cancelled)
    run_job(job, Event())
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert not CachedImage.objects.exists()
    assert kit.engine.image_tags("crewship-cache") == []


def test_a_rebuild_retires_the_image_it_replaced(
    job: ProvisionJob, crew: Crew, kit: Kit, make_job: JobMaker
) -> None:
    run_job(job, Event())
    job.refresh_from_db()
    kit.engine.publish("debian:bookworm-slim")
    make_job(crew, rebuild=True)
    again = claim_next(job.host_id, "w:1")
    assert again is not None
    run_job(again, Event())
    again.refresh_from_db()
    assert again.state == JobState.COMPLETED
    assert CachedImage.objects.get().image_id == again.image_id != job.image_id
    assert kit.engine.image(job.image_id) is None


def test_a_beating_heart_survives_a_busy_database(
    job: ProvisionJob, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failed write must not end the thread that sees cancels."""
    beats: list[int] = []
    monkeypatch.setattr(worker, "HEARTBEAT_S", 0.0)
    enough = Event()

    class Locked:
        def update(self, **_fields: object) -> None:
            beats.append(1)
            if len(beats) == 3:
                enough.set()
            raise DatabaseError("database is locked")

        def exists(self) -> bool:
            return True

    monkeypatch.setattr(worker.Watchdog, "_mine", lambda _self: Locked())
    with worker.Watchdog(job, Event()):
        assert enough.wait(5)


class WorkerDied(BaseException):
    """Stands for SIGKILL: nothing of ours runs after it."""


def _dies_before_the_end_is_recorded(job: ProvisionJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_args: object) -> None:
        raise WorkerDied

    with monkeypatch.context() as patch:
        patch.setattr(worker, "complete", dies)
        with pytest.raises(WorkerDied):
            run_job(job, Event())


def test_an_image_that_a_dead_worker_tagged_is_gone_when_the_next_attempt_tags_its_own(
    job: ProvisionJob, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dies_before_the_end_is_recorded(job, monkeypatch)
    [left] = kit.engine.image_tags("crewship-cache")
    # Taken from its worker; what is built the second time is another image.
    ProvisionJob.objects.update(state=JobState.PENDING, fence=5)
    kit.engine.publish("debian:bookworm-slim")
    again = claim_next(job.host_id, "w:2")
    assert again is not None
    run_job(again, Event())
    sweep_host(kit.engine, job.host)
    again.refresh_from_db()
    assert again.state == JobState.COMPLETED
    assert again.image_id != left.image_id
    assert kit.engine.image(left.image_id) is None
    assert not Layer.objects.filter(kind="final").exists()
    assert [t.image_id for t in kit.engine.image_tags("crewship-cache")] == [again.image_id]


def test_a_tag_that_a_dead_worker_left_goes_with_a_job_that_does_not_run_again(
    job: ProvisionJob, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dies_before_the_end_is_recorded(job, monkeypatch)
    ProvisionJob.objects.update(state=JobState.CANCELLED)
    sweep_host(kit.engine, job.host)
    assert kit.engine.image_tags("crewship-cache") == []
    assert not Layer.objects.filter(kind="final").exists()
