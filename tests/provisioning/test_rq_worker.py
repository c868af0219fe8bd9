"""With the real Redis that ``crewship start`` brings."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from rq import Queue, Worker
from rq.exceptions import StopRequested

from crewship.cli.embedded_redis import prepare
from crewship.cli.supervisor.child import ChildSpec
from crewship.cli.supervisor.output import Screen
from crewship.cli.supervisor.supervisor import Supervisor
from provisioning import rq_worker
from provisioning.rq_worker import ProvisionWorker

REFUSED = ResponseError("MISCONF Errors writing to the AOF file: No space left on device")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    folder = Path(tempfile.mkdtemp(prefix="crewship-"))  # pytest's own may be too long
    embedded = prepare(tmp_path, folder / "run")
    supervisor = Supervisor(tmp_path / "logs", Screen(io.StringIO(), {}))
    child = supervisor.start(ChildSpec("redis", embedded.argv, os.environ))
    supervisor.wait_ready(child, embedded.answers, 30)
    with Redis.from_url(embedded.url) as client:
        yield client
    supervisor.close()
    shutil.rmtree(folder)


@pytest.fixture
def worker(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> ProvisionWorker:
    monkeypatch.setattr(rq_worker, "LOOK_S", 0)
    monkeypatch.setattr(ProvisionWorker, "beat", lambda self: None)
    return ProvisionWorker(
        [Queue("provision", connection=redis)], connection=redis, host_name="here"
    )


def refuses(times: int, worker: ProvisionWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis refuses so many takings from the queue, and has something then."""
    answers: list[Any] = [REFUSED] * times

    def dequeue(self: Worker, *_args: Any) -> Any:
        if answers:
            raise answers.pop()
        return "a job", "its queue"

    monkeypatch.setattr(Worker, "dequeue_job_and_maintain_ttl", dequeue)


def test_a_redis_that_refuses_is_waited_for(worker, monkeypatch):
    refuses(3, worker, monkeypatch)
    assert worker.dequeue_job_and_maintain_ttl(1) == ("a job", "its queue")


def test_that_is_said_once(worker, monkeypatch, caplog):
    refuses(3, worker, monkeypatch)
    worker.dequeue_job_and_maintain_ttl(1)
    assert [r.getMessage() for r in caplog.records] == [
        f"{worker.name} waits, Redis refuses: {REFUSED}"
    ]


def test_a_stop_ends_the_waiting(worker, monkeypatch):
    refuses(3, worker, monkeypatch)
    worker._stop_requested = True
    with pytest.raises(StopRequested):
        worker.dequeue_job_and_maintain_ttl(1)


def test_a_connection_waits_longer_for_an_answer_than_a_worker_for_a_message() -> None:
    """Else each look for a message that finds none is a lost connection, and a pause."""
    pool = rq_worker.worker_connection("redis://127.0.0.1:1").connection_pool
    assert pool.connection_kwargs["socket_timeout"] > rq_worker.LOOK_S
