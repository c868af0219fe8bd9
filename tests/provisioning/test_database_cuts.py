"""PostgreSQL ends the sessions of a running job: its threads connect again and go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.db import close_old_connections, connection
from django.utils import timezone

from cache.hosts import register_host
from cache.models import CachedImage, DockerHost, LayerLease
from crewship.engine.fake import FakeEngine, FakeExec, FakeRun
from provisioning import worker
from provisioning.claim import claim_next
from provisioning.emitter import EventEmitter
from provisioning.finish import complete
from provisioning.ledger import DatabaseLedger
from provisioning.models import ProvisionJob
from provisioning.services import cancel_provision
from provisioning.states import JobState
from provisioning.watcher import HostWatcher
from provisioning.worker import Watchdog, run_job
from tests.cast import make_cast, make_crew
from tests.conftest import JobMaker
from tests.provisioning.pipeline.kit import Kit, feature_of, features
from tests.provisioning.test_worker import _tools, kit  # noqa: F401
from tests.stack.postgres import PostgresServer
from tests.stack.server import wait_until

pytestmark = pytest.mark.postgres


@pytest.fixture
def host(postgres_db: str) -> DockerHost:
    return DockerHost.objects.create(
        name="local",
        engine_id="fake-engine",
        platform="linux/amd64",
        heartbeat_at=timezone.now() + timedelta(days=1),
    )


@pytest.fixture
def job(host: DockerHost, make_job: JobMaker) -> ProvisionJob:
    config = {"image": "debian:bookworm-slim", "features": features(one={})}
    make_job(make_crew(make_cast().workspace, "built", config))
    claimed = claim_next(host.pk, "w:1")
    assert claimed is not None
    return claimed


@pytest.fixture
def cut(postgres_server: PostgresServer, postgres_db: str) -> Callable[[], int]:
    return lambda: postgres_server.cut_sessions(postgres_db)


def fresh(job: ProvisionJob) -> ProvisionJob:
    """As this thread reads it, which was cut as well."""
    close_old_connections()
    return ProvisionJob.objects.get(pk=job.pk)


def test_the_heartbeat_goes_on_after_two_cuts(
    job: ProvisionJob, cut: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_S", 0.02)
    monkeypatch.setattr(worker, "HEARTBEAT_S", 0.02)
    with Watchdog(job, Event()) as dog:
        for _ in range(2):
            before = fresh(job).heartbeat_at
            wait_until(lambda b=before: fresh(job).heartbeat_at != b, 10, "a beat")  # type: ignore[misc]
            assert cut()
            before = fresh(job).heartbeat_at
            wait_until(lambda b=before: fresh(job).heartbeat_at != b, 10, "a beat")  # type: ignore[misc]
        assert not dog.cancel.is_set()


def test_a_cancel_is_seen_after_a_cut(
    job: ProvisionJob, cut: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_S", 0.02)
    with Watchdog(job, Event()) as dog:
        cut()
        close_old_connections()
        cancel_provision(job.crew)
        assert dog.cancel.wait(10)


def test_the_log_has_every_line_after_a_cut(job: ProvisionJob, cut: Callable[[], int]) -> None:
    with EventEmitter(job_id=job.pk, fence=job.fence, lost=Event()) as emit:
        for number in range(5):
            emit.system(f"line {number}")
            emit.flush()
            cut()
    lines = [e.data["text"] for e in fresh(job).events.order_by("seq") if "text" in e.data]
    assert lines == [f"line {number}" for number in range(5)]


def test_the_hosts_heartbeat_goes_on_after_a_cut(
    host: DockerHost, cut: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.watcher.BEAT_S", 0.02)
    ended = Event()
    engine = FakeEngine()
    host = register_host(host.name, engine.info())
    watcher = HostWatcher(engine, ended)

    def beat() -> None:
        watcher._heartbeat(host)
        connection.close()

    thread = Thread(target=beat)

    def beat_at() -> Any:
        close_old_connections()
        return DockerHost.objects.get(pk=host.pk).heartbeat_at

    thread.start()
    try:
        for _ in range(3):
            before = beat_at()
            wait_until(lambda b=before: beat_at() != b, 10, "a beat")  # type: ignore[misc]
            cut()
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def server_comes_back(
    postgres_server: PostgresServer,
) -> Iterator[Callable[[], None]]:
    """``server_comes_back()``: PostgreSQL crashes now and is started again by another thread."""
    threads: list[Thread] = []

    def crash() -> None:
        for thread in threads:
            thread.join()
        postgres_server.stop()
        threads.append(Thread(target=postgres_server.start))
        threads[-1].start()

    yield crash
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("way", ["cut", "restart"])
def test_a_job_is_completed_although_its_database_went_away_twice(
    way: str,
    job: ProvisionJob,
    kit: Kit,  # noqa: F811
    cut: Callable[[], int],
    server_comes_back: Callable[[], None],
) -> None:
    """Once in a script, once between the commit and what is written of it."""

    def away() -> None:
        cut() if way == "cut" else server_comes_back()

    def handler(call: FakeExec) -> FakeRun | None:
        if not feature_of(call):
            return None
        away()
        return FakeRun("made\n")

    kit.engine.on_exec(handler)
    commit = kit.engine.commit
    lost: list[object] = []

    def commit_and_lose(*args: Any, **options: Any) -> Any:
        image = commit(*args, **options)
        if not lost:
            lost.append(image)
            away()
        return image

    kit.engine.commit = commit_and_lose  # type: ignore[method-assign]
    run_job(job, Event())
    ended = fresh(job)
    assert (ended.state, ended.error, ended.lost_workers) == (JobState.COMPLETED, "", 0)
    assert CachedImage.objects.get().image_id == ended.image_id
    assert not LayerLease.objects.exists()
    output = [e.data["lines"] for e in ended.events.all() if "lines" in e.data]
    assert ["made"] in output


def test_a_lease_that_was_written_before_the_cut_is_this_jobs_own(
    job: ProvisionJob, host: DockerHost
) -> None:
    """The answer to the INSERT was lost, so it is asked for once more."""
    ledger = DatabaseLedger(host=host, job_id=job.pk, fence=job.fence, cancel=Event())
    LayerLease.objects.create(host=host, key="k", job_id=job.pk, fence=job.fence)
    with ledger.lease("k"):
        pass
    assert not LayerLease.objects.exists()


def test_an_end_that_was_written_before_the_cut_keeps_its_image(
    job: ProvisionJob,
    kit: Kit,  # noqa: F811
    cut: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer to the COMMIT was lost: the job is completed, not taken away."""
    calls: list[str] = []

    def complete_and_lose(*args: Any) -> Any:
        calls.append("complete")
        done = complete(*args)
        if len(calls) == 1:
            cut()
            ProvisionJob.objects.count()  # raises: the session is gone
        return done

    monkeypatch.setattr(worker, "complete", complete_and_lose)
    run_job(job, Event())
    ended = fresh(job)
    assert calls == ["complete"] * 2
    assert ended.state == JobState.COMPLETED
    assert kit.engine.image(CachedImage.objects.get().tag) is not None
