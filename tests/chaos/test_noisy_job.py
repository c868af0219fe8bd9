"""A step that prints a gigabyte while three people watch: memory, log and status stay bounded.

It also counts streams and clients that leave on a real server. ``CREWSHIP_TEST_NOISE_MB`` (default
1000) says how much is printed.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier, Event, Thread
from time import perf_counter
from typing import Any

import httpx
import pytest

from tests.stack.server import Api, Stack, running_stack, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(1200)]
MB = 1024 * 1024
NOISE_MB = int(os.environ.get("CREWSHIP_TEST_NOISE_MB", "1000"))
Config = Callable[..., dict[str, Any]]
LINE = 3990
PRINT = "yes $(head -c {size} /dev/zero | tr '\\0' x) | head -n {count}; echo the end"
ONE_LINE = "head -c {size}000000 /dev/zero | tr '\\0' x; echo; echo the end"


class Memory(Thread):
    """The largest resident size (``VmRSS``) of the processes of an installation, by kind."""

    KINDS = {"web": "uvicorn", "worker": "crewship_worker"}

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self.peaks: Counter[str] = Counter()
        self._stack = stack
        self._ended = Event()

    def run(self) -> None:
        while not self._ended.wait(0.5):
            for kind, command in self.KINDS.items():
                for pid in self._stack.pids(command):
                    self.peaks[kind] = max(self.peaks[kind], rss(pid))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def rss(pid: int) -> int:
    """In bytes; 0 when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else 0


class Viewer(Thread):
    """Reads a crew's event stream to its end, from its beginning or from a place on."""

    def __init__(self, api: Api, crew: str) -> None:
        super().__init__(daemon=True)
        self.kinds: Counter[str] = Counter()
        self.places: list[str] = []
        self.ended = False
        self._api = api
        self._path = f"/crews/{crew}/provision/events"

    def run(self) -> None:
        headers = {"Accept": "text/event-stream"}
        with self._api.http.stream("GET", self._path, headers=headers, timeout=120) as answer:
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    self.kinds[value] += 1
                elif name == "id":
                    self.places.append(value)
        self.ended = self.kinds["end"] == 1


@pytest.fixture(scope="module")
def own_stack(
    tmp_path_factory: pytest.TempPathFactory, stack_settings: dict[str, str]
) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("noisy"), stack_settings, workers=1) as stack:
        yield stack


@pytest.fixture(scope="module")
def own_api(own_stack: Stack) -> Api:
    return own_stack.bootstrap()


@pytest.fixture(scope="module")
def quiet(own_api: Api) -> str:
    """A crew with a job of a few lines."""
    crew = own_api.crew("quiet", noise(1, 20))
    own_api.build(crew)
    return crew


def noise(size: int, count: int) -> dict[str, Any]:
    return printing(PRINT.format(size=size, count=count))


def printing(command: str) -> dict[str, Any]:
    return {"image": "debian:bookworm-slim", "onCreateCommand": command}


def status_s(api: Api, crew: str) -> float:
    """The median of 40 reads."""
    times = []
    for _ in range(40):
        begun = perf_counter()
        api.status(crew)
        times.append(perf_counter() - begun)
    return sorted(times)[20]


def stored(stack: Stack, crew: str) -> int:
    sql = "SELECT sum(length(cast(data AS blob))) FROM provisioning_jobevent e "
    sql += "JOIN provisioning_provisionjob j ON e.job_id = j.id WHERE j.crew_id = ?"
    return int(stack.rows(sql, crew)[0][0])


def database_bytes(stack: Stack) -> int:
    return sum(file.stat().st_size for file in stack.data_dir.glob("crewship.sqlite3*"))


@pytest.mark.parametrize(
    ("slug", "command", "missing_parts"),
    [
        ("long", PRINT.format(size=LINE, count=NOISE_MB * 1_000_000 // (LINE + 1)), 1),
        ("short", PRINT.format(size=20, count=NOISE_MB * 2000), 1),
        ("one-line", ONE_LINE.format(size=NOISE_MB), 0),
    ],
)
def test_a_flood_stays_within_every_bound(
    slug: str, command: str, missing_parts: int, own_stack: Stack, own_api: Api, quiet: str
) -> None:
    crew = own_api.crew(f"noisy-{slug}", printing(command))
    before = database_bytes(own_stack)
    memory = Memory(own_stack)
    memory.start()
    own_api.provision(crew)
    viewers = [Viewer(own_api, crew) for _ in range(3)]
    for viewer in viewers:
        viewer.start()
    status = own_api.wait(crew, within_s=900)
    for viewer in viewers:
        viewer.join(120)
    memory.stop()
    lines = own_api.log(crew).split("\n")
    missing = [line for line in lines if line.startswith("Missing here")]
    figures = {
        "peaks_mb": {kind: peak // MB for kind, peak in memory.peaks.items()},
        "stored_mb": round(stored(own_stack, crew) / MB, 2),
        "database_grew_mb": round((database_bytes(own_stack) - before) / MB, 1),
        "viewers": [dict(viewer.kinds) for viewer in viewers],
        "missing": missing,
    }
    print(json.dumps(figures, indent=1))
    assert status["status"] == "completed"
    assert memory.peaks["worker"] < 150 * MB
    assert memory.peaks["web"] < 300 * MB
    assert stored(own_stack, crew) <= 17 * MB
    assert len(missing) == missing_parts
    assert any(line.endswith("the end") for line in lines[-20:])
    for viewer in viewers:
        assert viewer.ended
        assert len(viewer.places) == len(set(viewer.places))


def test_a_status_read_costs_the_same_for_a_noisy_job(
    own_stack: Stack, own_api: Api, quiet: str
) -> None:
    crew = own_api.crew("noisy-status", noise(LINE, 20_000))
    own_api.build(crew, within_s=300)
    ratios = [status_s(own_api, crew) / status_s(own_api, quiet) for _ in range(5)]
    print(f"status, noisy against quiet: {sorted(ratios)}")
    assert min(ratios) < 1.5


def test_of_80_streams_at_once_20_come_in(own_stack: Stack, own_api: Api, quiet: str) -> None:
    together = Barrier(80)
    headers = {"Authorization": f"Bearer {own_api.token}", "Accept": "text/event-stream"}

    with ExitStack() as open_ones, ThreadPoolExecutor(80) as pool:

        def ask(_: int) -> httpx.Response:
            client = open_ones.enter_context(httpx.Client(timeout=60))
            together.wait(60)
            url = f"{own_stack.url}/api/v1/events"
            return open_ones.enter_context(client.stream("GET", url, headers=headers))

        answers = list(pool.map(ask, range(80)))
        assert Counter(a.status_code for a in answers) == {200: 20, 429: 60}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.headers["Retry-After"] == "5"
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert json.loads(refused.read())["code"] == "too_many_streams"

    def again() -> bool:
        with own_api.http.stream("GET", "/events", headers=headers) as answer:
            return answer.status_code == 200

    wait_until(again, 30, "a place is free again")


def test_clients_that_leave_cost_no_log_lines(own_stack: Stack, own_api: Api) -> None:
    """In the middle of a board that is far larger than what the sockets hold."""
    own_stack.manage("shell", "-c", MANY_CREWS)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", own_stack.port)) as client:
            head = "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
            client.sendall(f"{head}Authorization: Bearer {own_api.token}\r\n\r\n".encode())
            assert b"200 OK" in client.recv(1000)
            while b"event: crew" not in client.recv(65536):
                pass
    own_api.status(own_api.crew("after"))
    log = (own_stack.data_dir / "logs" / "web.log").read_text(errors="replace")
    assert log.count("socket.send() raised exception") < 100


MANY_CREWS = """
from crewship.crews.models import Crew
from crewship.workspaces.models import Workspace
where = Workspace.objects.get()
Crew.objects.bulk_create(
    [Crew(workspace=where, slug=f"m{n}", name=f"many {n}") for n in range(5000)], batch_size=200
)
"""
