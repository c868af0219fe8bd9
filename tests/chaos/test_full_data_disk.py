"""The disk of the data directory is full for a while, and then it is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from tests.stack.features import ref
from tests.stack.images import build_containers
from tests.stack.server import Stack, running_stack, wait_until
from tests.stack.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.chaos
Config = Callable[..., dict[str, Any]]
PROCESSES = ("uvicorn", "crewship_watcher", "crewship_scheduler", "crewship_worker")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "48m") as made:
        yield made


@pytest.fixture
def own_stack(disk: SmallDisk, stack_settings: dict[str, str]) -> Iterator[Stack]:
    with running_stack(disk.path / "data", stack_settings, workers=1) as running:
        yield running
        disk.free()


def processes(stack: Stack) -> set[int]:
    """Without the workers' horses, which come and go."""
    found = {name: stack.pids(name) for name in PROCESSES}
    return {min(pids) for pids in found.values() if pids}


@pytest.mark.parametrize("full_s", [8, pytest.param(60, marks=pytest.mark.long)])
def test_everything_goes_on_by_itself_when_there_is_room_again(
    own_stack: Stack,
    disk: SmallDisk,
    config: Config,
    docker_client: docker.DockerClient,
    full_s: int,
) -> None:
    api = own_stack.bootstrap()
    features = {ref("note"): {}, ref("slow"): {"count": "30"}}
    crew = api.crew("slow", config(features=features))
    api.provision(crew)
    wait_until(lambda: "| second 2" in api.status(crew).get("log_tail", []), 60, "it runs")
    job = api.jobs(crew)[0]["id"]
    before = processes(own_stack)
    disk.fill()
    end = time.monotonic() + full_s
    while time.monotonic() < end:
        assert httpx.get(f"{own_stack.url}/healthz", timeout=10).status_code == 200
        time.sleep(0.5)
    disk.free()
    assert processes(own_stack) == before
    assert api.wait(crew, within_s=60)["status"] == "completed"
    assert build_containers(docker_client, job) == []
    api.configure(crew, config(features={ref("note"): {}}))
    api.build(crew)
