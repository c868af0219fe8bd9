"""An installation that may be hurt, and a build under way in it."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import docker
import httpx
import psycopg
from docker.utils import kwargs_from_env

from provisioning.faults import VARIABLE, FaultPoint
from tests.engine.real import BASE_IMAGE
from tests.stack.engine import OwnEngine, mounted_disk, own_engine
from tests.stack.features import NAMESPACE, ref
from tests.stack.postgres import PostgresServer
from tests.stack.redis import RedisServer
from tests.stack.server import Api, Stack, running_stack, wait_until

T = TypeVar("T")
PATIENCE_S = 180.0  # for what has no promise; a busy machine is slow
WORKERS = 2
OWN_ENGINE_MB = 1100  # the base image and some builds
SMALL_DISK_MB = 150


@dataclass(frozen=True, slots=True)
class Build:
    """A job under way, as it was when the weather turned bad."""

    crew: str
    job: str
    horse: int  # process id of the fork that runs it
    worker: int  # its parent
    fence: int


class Scene:
    """One installation with its engine, and with the servers that are this test's own."""

    def __init__(self, stack: Stack, faults: Path) -> None:
        self.stack = stack
        self.api: Api = stack.bootstrap()
        self.client = docker.DockerClient(**kwargs_from_env(environment=stack.environment))
        self.engine: OwnEngine | None = None
        self.redis: RedisServer | None = None
        self.postgres: tuple[PostgresServer, str] | None = None
        self._faults = faults

    def crew(self, features: dict[str, dict[str, str]], **parts: Any) -> str:
        """A new crew whose image nobody else has."""
        nonce = uuid.uuid4().hex
        config = {
            "image": BASE_IMAGE,
            "containerEnv": {"NONCE": nonce},
            "features": {ref(name): options for name, options in features.items()},
            **parts,
        }
        return self.api.crew(f"crew-{nonce[:10]}", config)

    def layered_crew(self) -> str:
        """Two layers of its own below the final one."""
        nonce = uuid.uuid4().hex
        return self.crew({"note": {"text": nonce}, "tool": {"word": nonce}})

    def slow_crew(self, seconds: int) -> str:
        """A layer of its own, then a script that takes that long."""
        nonce = uuid.uuid4().hex
        return self.crew({"note": {"text": nonce}, "slow": {"count": str(seconds)}})

    def start_and_hold(self, point: FaultPoint) -> Build:
        """A job that is held just there; ``let_go`` lets it go on if it still can."""
        crew = self.layered_crew()
        self._file(point, "reached").unlink(missing_ok=True)
        self._file(point, "armed").touch()
        self.api.provision(crew)
        horse = wait_until(lambda: self._held_at(point), PATIENCE_S, f"the job is held {point}")
        return self._build(crew, horse)

    def let_go(self, point: FaultPoint) -> None:
        self._file(point, "reached").unlink(missing_ok=True)

    def start_slow(self, seconds: int) -> Build:
        """A job that runs a script for that long and has a finished layer already."""
        crew = self.slow_crew(seconds)
        self.api.provision(crew)
        self.wait_for_line(crew, "| second 2")
        return self._build(crew, self._only_horse())

    def wait_for_line(self, crew: str, line: str) -> None:
        def is_there() -> bool:
            status = self.quietly(lambda: self.api.status(crew))
            return status is not None and line in status.get("log_tail", [])

        wait_until(is_there, PATIENCE_S, f"{line!r} in the log of {crew}", 0.2)

    def quietly(self, ask: Callable[[], T]) -> T | None:
        """The answer, or None while the bad weather keeps the installation from giving one."""
        try:
            return ask()
        except (httpx.HTTPError, AssertionError, sqlite3.Error, psycopg.Error):
            return None

    def processes(self) -> list[int]:
        """All of the installation's."""
        return self.stack.pids("")

    def kill_all(self) -> None:
        """Every process at once, the supervisor first so that it starts none again."""
        with contextlib.suppress(AssertionError):
            self.stack.stop(signal.SIGKILL)
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _build(self, crew: str, horse: int) -> Build:
        job = str(self.api.jobs(crew)[0]["id"])
        [(fence,)] = self.stack.rows(
            "SELECT fence FROM provisioning_provisionjob WHERE id = ?", job
        )
        return Build(crew, job, horse, parent_of(horse), int(fence))

    def _only_horse(self) -> int:
        """The one fork of a worker."""
        workers = self.stack.pids("crewship_worker")
        [horse] = [pid for pid in workers if parent_of(pid) in workers]
        return horse

    def _held_at(self, point: FaultPoint) -> int | None:
        with contextlib.suppress(OSError):
            if text := self._file(point, "reached").read_text():
                return int(text)
        return None

    def _file(self, point: FaultPoint, what: str) -> Path:
        return self._faults / f"{point}.{what}"


def parent_of(pid: int) -> int:
    """0 for a process that is gone."""
    with contextlib.suppress(OSError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(after_name[1])
    return 0


def is_at_work(pid: int) -> bool:
    """Whether the process is there and neither dead nor stopped."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZTt"
    return False


@contextmanager
def scene_of(kind: str, folder: Path, layout: Path) -> Iterator[Scene]:
    """An installation of that kind, warm: the layer with the agent user is there.

    ``usual``: SQLite, embedded Redis, the machine's engine. ``apart``: an engine, a Redis and a
    PostgreSQL of the test's own. ``small disk``: as usual, its data directory on a small disk.
    """
    faults = folder / "faults"
    faults.mkdir()
    settings = {
        "CREWSHIP_FEATURE_LAYOUTS": f"{NAMESPACE}={layout}",
        VARIABLE: str(faults),
        "CREWSHIP_HOST": f"chaos-{uuid.uuid4().hex[:8]}",
        "CREWSHIP_CACHE_SCOPE": "workspace",
    }
    with ExitStack() as stack:
        data_dir = folder / "data"
        engine = redis = postgres = None
        if kind == "apart":
            engine = stack.enter_context(own_engine(OWN_ENGINE_MB))
            redis = RedisServer(folder)
            stack.callback(redis.kill)
            redis.start()
            postgres = _postgres(stack)
            settings["DOCKER_HOST"] = engine.host
            settings["CREWSHIP_REDIS_URL"] = redis.url
            settings["CREWSHIP_DATABASE_URL"] = postgres[0].url(postgres[1])
        elif kind == "small disk":
            data_dir = stack.enter_context(mounted_disk(SMALL_DISK_MB)) / "data"
        running = stack.enter_context(running_stack(data_dir, settings, WORKERS))
        scene = Scene(running, faults)
        stack.callback(scene.client.close)
        scene.engine, scene.redis, scene.postgres = engine, redis, postgres
        scene.api.build(scene.crew({}))
        yield scene


def _postgres(stack: ExitStack) -> tuple[PostgresServer, str]:
    from tests.stack.postgres import running_postgres

    server = stack.enter_context(running_postgres())
    return server, server.create_database()
