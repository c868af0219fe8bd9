"""A registry that answers a byte every two seconds holds up neither a cancel nor the next job."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.registry.test_sockets import raw_server
from tests.stack.features import ref
from tests.stack.server import Api, Stack, running_stack, wait_until

pytestmark = pytest.mark.chaos
Config = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def asked() -> threading.Event:
    """The registry has got a request."""
    return threading.Event()


@pytest.fixture(scope="module")
def dawdling(asked: threading.Event) -> Iterator[str]:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        asked.set()
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not stop.wait(2):
            connection.sendall(b"x")

    with raw_server(drip) as address:
        yield address
        stop.set()


@pytest.fixture(scope="module")
def own_stack(
    tmp_path_factory: pytest.TempPathFactory, stack_settings: dict[str, str], dawdling: str
) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("dawdling") / "data"
    publishers = f"{stack_settings['CREWSHIP_FEATURE_PUBLISHERS']},{dawdling}/slow"
    settings = {**stack_settings, "CREWSHIP_FEATURE_PUBLISHERS": publishers}
    with running_stack(folder, settings, workers=1) as running:
        yield running


@pytest.mark.timeout(300)
def test_a_cancelled_job_frees_its_worker(
    own_stack: Stack, config: Config, dawdling: str, asked: threading.Event
) -> None:
    api: Api = own_stack.bootstrap()
    stuck = api.crew("stuck", config(features={f"{dawdling}/slow/feature:1": {}}))
    api.provision(stuck)
    assert asked.wait(60)
    waits = api.crew("waits", config(features={ref("note"): {}}))
    api.provision(waits)
    assert api.status(waits)["status"] == "pending"
    assert api.http.post(f"/crews/{stuck}/provision/cancel").json()["cancelled"] is True
    wait_until(lambda: api.status(waits)["status"] != "pending", 60, "the worker is free")
    cancelled = _at(own_stack, stuck, "finished_at")
    begun = _at(own_stack, waits, "started_at")
    # 5 s are what is promised; the rest is for a machine that does other things as well.
    assert (begun - cancelled).total_seconds() < 10
    assert api.wait(waits)["status"] == "completed"


def _at(stack: Stack, crew: str, column: str) -> datetime:
    [(text,)] = stack.rows(
        f"SELECT {column} FROM provisioning_provisionjob WHERE crew_id = ?",  # noqa: S608
        crew,
    )
    return datetime.fromisoformat(text)
