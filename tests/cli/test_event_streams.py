"""Event streams of a real server process: cut, restarted, without Redis, watched by many. No engine
and no registry: the job's events are written by a process of their own, as a worker would."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from crewship.settings.options import runtime_dir_for
from tests.stack.server import PROJECT, Api, Stack, wait_until
from tests.streams import frames_of

pytestmark = pytest.mark.cli

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
LINES = 2000
WRITE = """
import sys, time
from threading import Event
from django.utils import timezone
from cache.models import DockerHost
from crewship.crews.models import Crew
from provisioning.emitter import EventEmitter
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from provisioning.transitions import advance
crew = Crew.objects.get(slug="{slug}")
host, _ = DockerHost.objects.get_or_create(name="of-a-test")
job = ProvisionJob.objects.create(
    crew=crew, workspace=crew.workspace, host=host, config_hash=crew.config_hash,
    devcontainer_config=crew.devcontainer_config)
job = advance(job, JobState.RUNNING, fence=1, heartbeat_at=timezone.now())
with EventEmitter(job_id=job.pk, fence=1, lost=Event()) as emit:
    emit.step(3, "installing")
    for number in range(1, {lines} + 1):
        emit.output([f"line {number}"])
        if number % {at_once} == 0:
            time.sleep({pause})
advance(job, JobState.COMPLETED, guard=1, finished_at=timezone.now())
"""


class Server(Stack):
    """As everywhere, but ready without a Docker host."""

    def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        return [(1,)] if "dockerhost" in sql else super().rows(sql, *args)

    def redis(self) -> int:
        """The embedded one's process, by its socket: it writes over its own environment."""
        pid = subprocess.check_output(["pgrep", "-f", f"{runtime_dir_for(self.data_dir)}/redis"])
        return int(pid)

    def write(self, slug: str, *, over_s: float, lines: int = LINES) -> subprocess.Popen[bytes]:
        """A process that writes a job's events over that time."""
        chunks = 50
        program = (
            WRITE.replace("{slug}", slug)
            .replace("{lines}", str(lines))
            .replace("{at_once}", str(max(1, lines // chunks)))
            .replace("{pause}", str(over_s / chunks))
        )
        return subprocess.Popen(
            [sys.executable, str(PROJECT / "manage.py"), "shell", "-v", "0", "-c", program],
            env=self.environment,
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = tmp_path_factory.mktemp("streams")
    server = Server(data_dir, NO_ENGINE)
    server.start(workers=1)
    yield server
    server.close()


class Pane:
    """A log pane: reads the crew's events, comes back after every cut, keeps each line as often as
    it is told it."""

    def __init__(self, client: httpx.AsyncClient, crew: str) -> None:
        self.lines: list[str] = []
        self.seen_at: dict[str, float] = {}
        self.end: dict[str, Any] | None = None
        self.connects = 0
        self._client = client
        self._path = f"/crews/{crew}/provision/events"
        self._last = ""
        self._reading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        while self.end is None:
            self._reading = asyncio.create_task(self._read())
            with suppress(httpx.HTTPError, asyncio.CancelledError):
                await self._reading
            await asyncio.sleep(0.05)

    async def _read(self) -> None:
        headers = {"Last-Event-ID": self._last} if self._last else {}
        async with self._client.stream("GET", self._path, headers=headers) as response:
            if not response.is_success:
                return
            self.connects += 1
            ahead: list[str] = []
            async for line in response.aiter_lines():
                ahead.append(line)
                if not line:
                    for frame in frames_of(ahead):
                        self._take(frame)
                    ahead = []

    def _take(self, frame: dict[str, Any]) -> None:
        if frame.get("event") == "end":
            self.end = frame["data"]
        elif "id" in frame:
            self._last = frame["id"]
            for line in frame["data"]["data"].get("lines", ()):
                self.lines.append(line)
                self.seen_at[line] = time.monotonic()

    def cut(self) -> None:
        """The connection breaks, as when the network goes away."""
        if self._reading is not None:
            self._reading.cancel()


async def until(condition: Callable[[], Any], what: str, within_s: float = 10) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.02)
    assert condition(), f"{what}: not within {within_s:g} s"


def client_of(api: Api) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=api.http.base_url, headers=api.http.headers, timeout=20)


def begin(server: Server, slug: str, **writing: Any) -> tuple[Api, str, subprocess.Popen[bytes]]:
    """A crew whose job is being written."""
    api = server.bootstrap()
    crew = api.crew(slug, {"image": "debian:bookworm-slim"})
    writer = server.write(slug, **writing)
    wait_until(lambda: api.jobs(crew), 30, "a job")
    return api, crew, writer


def all_lines(count: int = LINES) -> list[str]:
    return [f"line {number}" for number in range(1, count + 1)]


def test_a_pane_holds_every_line_once_whatever_is_cut(server: Server) -> None:
    api, crew, writer = begin(server, "cut", over_s=8)

    async def watch() -> list[Pane]:
        async with client_of(api) as client:
            panes = [Pane(client, crew), Pane(client, crew)]
            running = [asyncio.create_task(pane.run()) for pane in panes]
            await until(lambda: len(panes[0].lines) > 100, "first lines")
            for _ in range(10):
                await reload(client, crew)
            await cut_three_times(server, panes[0])
            await asyncio.wait_for(asyncio.gather(*running), 60)
        return panes

    for pane in asyncio.run(watch()):
        assert pane.lines == all_lines()
        assert pane.end is not None
        assert (pane.end["state"], pane.end["status"]) == ("completed", "idle")
    assert writer.wait(60) == 0


async def reload(client: httpx.AsyncClient, crew: str) -> None:
    """A page that is opened, shows lines from the first on, and is left."""
    pane = Pane(client, crew)
    running = asyncio.create_task(pane.run())
    await until(lambda: len(pane.lines) > 100, "lines after a reload")
    assert pane.lines == all_lines()[: len(pane.lines)]
    pane.end = {}
    pane.cut()
    await running


async def cut_three_times(server: Server, pane: Pane) -> None:
    connects = pane.connects
    pane.cut()
    await until(lambda: pane.connects > connects, "a reconnect")
    os.kill(server.redis(), signal.SIGKILL)
    (web,) = server.pids("uvicorn")
    began = time.monotonic()
    os.kill(web, signal.SIGTERM)
    await until(lambda: web not in server.pids("uvicorn"), "the web process's end")
    assert time.monotonic() - began < 2, "open streams held the server up"
    connects = pane.connects
    await until(lambda: pane.connects > connects, "a reconnect to the next one", 30)


def test_two_watchers_see_a_line_within_a_second(server: Server) -> None:
    api, crew, writer = begin(server, "pair", over_s=4, lines=50)

    async def watch() -> list[Pane]:
        async with client_of(api) as client:
            panes = [Pane(client, crew), Pane(client, crew)]
            await asyncio.wait_for(asyncio.gather(*(pane.run() for pane in panes)), 60)
        return panes

    first, second = asyncio.run(watch())
    assert first.lines == second.lines == all_lines(50)
    assert max(abs(first.seen_at[line] - second.seen_at[line]) for line in first.lines) < 1
    assert writer.wait(60) == 0


def test_many_watchers_hold_no_thread_each(server: Server) -> None:
    api, crew, writer = begin(server, "many", over_s=6, lines=200)
    (web,) = server.pids("uvicorn")

    async def watch() -> tuple[list[Pane], int]:
        async with client_of(api) as client:
            panes = [Pane(client, crew) for _ in range(20)]
            running = [asyncio.create_task(pane.run()) for pane in panes]
            await until(lambda: all(pane.lines for pane in panes), "lines everywhere")
            threads = len(os.listdir(f"/proc/{web}/task"))
            await asyncio.wait_for(asyncio.gather(*running), 60)
        return panes, threads

    panes, threads = asyncio.run(watch())
    assert [pane.lines for pane in panes] == 20 * [all_lines(200)]
    assert threads < 20
    assert writer.wait(60) == 0
