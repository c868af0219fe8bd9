"""Redis goes away while workers wait or work: what runs goes on, what waits is run later."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from tests.stack.redis import RedisServer
from tests.stack.server import PROJECT, wait_until

pytestmark = pytest.mark.chaos


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


class WorkerUnderTest:
    """The product's worker process on a database of its own, fed with messages that are no
    provision jobs: what is looked at is how RQ and Redis are stood."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self.data_dir = folder / "data"
        self._redis = redis
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("CREWSHIP_", "DJANGO_"))},
            "CREWSHIP_DATA_DIR": str(self.data_dir),
            "CREWSHIP_REDIS_URL": redis.url,
            "DJANGO_SETTINGS_MODULE": "crewship.settings",
        }
        self._django("migrate", "--noinput").wait(120)
        self.process = self._django("crewship_worker", "--name", "under-test")

    def _django(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.data_dir.parent / "worker.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "django", *command],
                env=self._environment,
                cwd=PROJECT,
                stdout=log,
                stderr=log,
            )

    def rows(self) -> list[Any]:
        """Name and age in seconds of each worker in the database."""
        [database] = self.data_dir.glob("*.sqlite3")
        with sqlite3.connect(database, timeout=20) as connection:
            return connection.execute(
                "SELECT name, (julianday('now') - julianday(heartbeat_at)) * 86400"
                " FROM provisioning_workerprocess"
            ).fetchall()

    def send(self, script: str) -> None:
        queue = Queue("provision", connection=self._redis.client(), serializer=JSONSerializer)
        queue.enqueue("subprocess.call", ["sh", "-c", script], job_timeout=-1)

    def log(self) -> str:
        return (self.data_dir.parent / "worker.log").read_text()


@pytest.fixture
def worker(tmp_path: Path, redis: RedisServer) -> Iterator[WorkerUnderTest]:
    made = WorkerUnderTest(tmp_path, redis)
    wait_until(made.rows, 60, "the worker is in the database")
    yield made
    made.process.kill()
    made.process.wait(10)


@pytest.mark.parametrize(
    "away_s", [4, pytest.param(60, marks=pytest.mark.long)], ids=lambda s: f"{s} s"
)
@pytest.mark.timeout(300)
def test_what_runs_goes_on_and_the_worker_is_there_for_the_next(
    away_s: int, redis: RedisServer, worker: WorkerUnderTest, tmp_path: Path
) -> None:
    go, done, later = tmp_path / "go", tmp_path / "done", tmp_path / "later"
    worker.send(f"touch {tmp_path}/begun; until [ -e {go} ]; do sleep 0.1; done; touch {done}")
    wait_until((tmp_path / "begun").exists, 30, "the message is taken up")
    redis.kill()
    until = time.monotonic() + away_s
    # The worker's own word that it lives keeps coming; 12 s: a look of 5 s, tries, a busy machine.
    while time.monotonic() < until:
        assert worker.process.poll() is None, worker.log()
        [(_, age_s)] = worker.rows()
        assert age_s < 12
        time.sleep(0.5)
    go.touch()
    wait_until(done.exists, 30, "what ran goes on to its end")
    redis.start()
    worker.send(f"touch {later}")
    wait_until(later.exists, 30, "the next message is taken up")
    assert worker.process.poll() is None, worker.log()


@pytest.mark.timeout(300)
def test_an_idle_worker_outlives_an_outage(
    redis: RedisServer, worker: WorkerUnderTest, tmp_path: Path
) -> None:
    redis.kill()
    wait_until(lambda: "retrying" in worker.log(), 30, "it has seen the outage")
    redis.start()
    worker.send(f"touch {tmp_path}/later")
    wait_until((tmp_path / "later").exists, 30, "the next message is taken up")
    assert worker.process.poll() is None, worker.log()


@pytest.mark.timeout(300)
def test_a_stop_is_obeyed_while_redis_is_away(redis: RedisServer, worker: WorkerUnderTest) -> None:
    redis.kill()
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(30) == 0, worker.log()
    assert worker.rows() == []


@pytest.mark.timeout(300)
def test_a_worker_that_starts_without_redis_waits_for_it(
    redis: RedisServer, tmp_path: Path
) -> None:
    redis.kill()
    worker = WorkerUnderTest(tmp_path, redis)
    try:
        wait_until(lambda: "waiting for Redis" in worker.log(), 60, "it waits")
        redis.start()
        worker.send(f"touch {tmp_path}/later")
        wait_until((tmp_path / "later").exists, 30, "the message is taken up")
    finally:
        worker.process.kill()
        worker.process.wait(10)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_redis_that_hangs_keeps_no_worker_from_saying_that_it_lives(
    redis: RedisServer, worker: WorkerUnderTest, tmp_path: Path
) -> None:
    go, done = tmp_path / "go", tmp_path / "done"
    worker.send(f"touch {tmp_path}/begun; until [ -e {go} ]; do sleep 0.1; done; touch {done}")
    wait_until((tmp_path / "begun").exists, 30, "the message is taken up")
    redis.signal(signal.SIGSTOP)
    try:
        until = time.monotonic() + 25
        while time.monotonic() < until:
            [(_, age_s)] = worker.rows()
            assert age_s < 20  # what a worker may be silent for
            time.sleep(0.5)
        go.touch()
        wait_until(done.exists, 30, "what ran goes on to its end")
    finally:
        redis.signal(signal.SIGCONT)
    worker.send(f"touch {tmp_path}/later")
    wait_until((tmp_path / "later").exists, 60, "the next message is taken up")
    assert worker.process.poll() is None, worker.log()
