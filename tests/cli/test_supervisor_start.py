"""``crewship start`` for real: all processes, on a data directory of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.cli

PROJECT = Path(__file__).resolve().parent.parent.parent
CREWSHIP = str(Path(sys.executable).with_name("crewship"))
PATIENCE_S = 60.0


class Running:
    """A started server, its data directory and its ``ready`` line's address."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.bind = f"127.0.0.1:{free.getsockname()[1]}"
        argv = [CREWSHIP, "start", "--bind", self.bind, "--data-dir", str(data_dir)]
        argv += ["--workers", "1"]
        self.log = (data_dir.parent / "start.log").open("w")
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment()
        )

    def wait_until_ready(self) -> str:
        assert self.process.stdout is not None
        return str(self.process.stdout.readline())

    def processes(self) -> list[int]:
        """Every process that was given this data directory, the supervisor excluded."""
        needle = f"CREWSHIP_DATA_DIR={self.data_dir}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                values = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if needle in values and int(folder.name) != self.process.pid:
                found.append(int(folder.name))
        return found

    def wait_until_nothing_runs(self) -> None:
        limit = time.monotonic() + PATIENCE_S
        while self.processes():
            assert time.monotonic() < limit, f"still running: {self.processes()}"
            time.sleep(0.05)

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)
        self.log.close()


def environment() -> dict[str, str]:
    dropped = ("CREWSHIP_", "DJANGO_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


@contextmanager
def started(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "data")
    try:
        assert running.wait_until_ready() == f"Crewship is ready on http://{running.bind}\n"
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with started(tmp_path_factory.mktemp("start")) as running:
        yield running


@dataclass(frozen=True)
class Stopped:
    """What was there before the start, and what after SIGTERM."""

    folder: Path
    before: dict[str, str | None]
    exit_code: int
    processes: list[int]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    folder = tmp_path_factory.mktemp("stopped")
    before = bootstrap(folder / "data")
    with started(folder) as running:
        running.process.send_signal(signal.SIGTERM)
        return Stopped(folder, before, running.process.wait(PATIENCE_S), running.processes())


def bootstrap(data_dir: Path) -> dict[str, str | None]:
    argv = [sys.executable, str(PROJECT / "manage.py"), "bootstrap", "--json"]
    argv += ["--workspace", "acme", "--email", "owner@example.com"]
    env = {**environment(), "CREWSHIP_DATA_DIR": str(data_dir)}
    said = subprocess.run(argv, check=True, capture_output=True, text=True, env=env).stdout
    made: dict[str, str | None] = json.loads(said)
    return made


def test_it_serves_when_it_says_so(server):
    assert httpx.get(f"http://{server.bind}/readyz").json()["ready"] is True


def test_the_secret_key_is_this_users_only(server):
    assert (server.data_dir / "secret-key").stat().st_mode & 0o777 == 0o600


def test_every_process_has_its_log(server):
    names = {path.stem for path in (server.data_dir / "logs").iterdir()}
    assert names == {"migrate", "redis", "scheduler", "watcher", "web", "worker-1"}


def test_a_second_start_on_the_same_data_is_refused(server):
    argv = [CREWSHIP, "start", "--bind", "127.0.0.1:1", "--data-dir", str(server.data_dir)]
    second = subprocess.run(argv, capture_output=True, text=True, env=environment(), timeout=60)
    assert second.returncode == 2
    assert "already running" in second.stderr


def test_bootstrap_works_while_it_runs(server):
    token = bootstrap(server.data_dir)["token"]
    answer = httpx.get(
        f"http://{server.bind}/api/v1/crews", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 200


def test_a_killed_process_is_replaced(server):
    pid = pid_of(server, "crewship_worker")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    limit = time.monotonic() + PATIENCE_S
    while pid_of(server, "crewship_worker") in (None, pid):
        assert time.monotonic() < limit
        time.sleep(0.05)


def pid_of(server: Running, word: str) -> int | None:
    for pid in server.processes():
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in argv:
            return pid
    return None


def test_bootstrap_works_before_and_after_it(stopped):
    after = bootstrap(stopped.folder / "data")
    assert after["workspace_id"] == stopped.before["workspace_id"]


def test_sigterm_ends_it_without_an_error(stopped):
    assert stopped.exit_code == 0


def test_sigterm_leaves_nothing_running(stopped):
    assert stopped.processes == []


def test_nothing_is_written_beside_the_data_directory(stopped):
    assert {path.name for path in stopped.folder.iterdir()} == {"data", "start.log"}


def test_sigkill_leaves_nothing_running(tmp_path):
    with started(tmp_path) as running:
        assert running.processes()
        running.process.kill()
        running.process.wait(PATIENCE_S)
        running.wait_until_nothing_runs()
