"""Processes that die in the middle of a job, and ones that are told to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.chaos.outcome import RIGHT_WITHIN_S
from tests.stack.features import ref
from tests.stack.images import build_containers
from tests.stack.server import Api, Stack, running_stack, wait_until

# Each test starts an installation, which takes minutes on a machine that does much else.
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
PATIENCE_S = 180  # for what has no promise
Config = Callable[..., dict[str, Any]]


@pytest.fixture
def own_stack(tmp_path: Path, stack_settings: dict[str, str]) -> Iterator[Stack]:
    with running_stack(tmp_path / "data", stack_settings, workers=1) as running:
        yield running


@pytest.fixture
def own_api(own_stack: Stack) -> Api:
    return own_stack.bootstrap()


def _start_slow(api: Api, config: Config, count: int = 600) -> str:
    crew = api.crew("slow", config(features={ref("note"): {}, ref("slow"): {"count": str(count)}}))
    api.provision(crew)
    wait_until(lambda: "| second 2" in api.status(crew).get("log_tail", []), PATIENCE_S, "it runs")
    return crew


def _times_lost(stack: Stack, job: str) -> int:
    """From the events: the state in between may be too short to be seen by polling."""
    rows = stack.rows(
        "SELECT data FROM provisioning_jobevent WHERE job_id = ? AND kind = 'job.state'", job
    )
    return sum("worker_lost" in data for (data,) in rows)


@pytest.mark.long  # in the short form a row of test_weather.py
def test_a_killed_workers_job_is_taken_from_it(
    own_stack: Stack, own_api: Api, config: Config, docker_client: docker.DockerClient
) -> None:
    crew = _start_slow(own_api, config)
    job = own_api.jobs(crew)[0]["id"]
    left = build_containers(docker_client, job)
    [worker, *_] = sorted(own_stack.pids("crewship_worker"))
    os.kill(worker, signal.SIGKILL)

    def taken() -> bool:
        gone = not set(left) & set(build_containers(docker_client, job))
        return gone and _times_lost(own_stack, job) == 1

    wait_until(taken, RIGHT_WITHIN_S, "the job is taken and its container gone")
    own_api.http.post(f"/crews/{crew}/provision/cancel")
    own_api.configure(crew, config(features={ref("note"): {}}))
    own_api.build(crew, within_s=PATIENCE_S)


@pytest.mark.long
def test_a_job_that_loses_two_workers_is_failed(
    own_stack: Stack, own_api: Api, config: Config
) -> None:
    crew = _start_slow(own_api, config)
    job = own_api.jobs(crew)[0]["id"]
    for times in (1, 2):
        wait_until(lambda: own_api.status(crew)["status"] == "running", PATIENCE_S, "it runs")
        [worker, *_] = sorted(own_stack.pids("crewship_worker"))
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda n=times: _times_lost(own_stack, job) == n, RIGHT_WITHIN_S, "it is taken")  # type: ignore[misc]
    wait_until(lambda: own_api.status(crew)["status"] == "failed", PATIENCE_S, "it failed")
    assert own_api.jobs(crew)[0]["error"]["code"] == "worker_lost"


def test_a_stopped_installation_leaves_the_job_pending_and_nothing_running(
    own_stack: Stack, own_api: Api, config: Config, docker_client: docker.DockerClient
) -> None:
    crew = _start_slow(own_api, config)
    job = own_api.jobs(crew)[0]["id"]
    own_stack.stop()
    [(state,)] = own_stack.rows("SELECT state FROM provisioning_provisionjob WHERE id = ?", job)
    assert state == "pending"
    assert not build_containers(docker_client, job)
    assert own_stack.pids("") == []


@pytest.mark.long  # after a harder end: the row of stale pid files in test_weather.py
def test_a_job_goes_on_after_a_restart(own_stack: Stack, own_api: Api, config: Config) -> None:
    crew = _start_slow(own_api, config, count=8)
    own_stack.stop()
    own_stack.start(workers=1)
    assert own_api.wait(crew, PATIENCE_S)["status"] == "completed"
    assert "Feature note reused" in own_api.log(crew)


def test_a_killed_supervisor_leaves_no_process(
    own_stack: Stack, own_api: Api, config: Config
) -> None:
    _start_slow(own_api, config)
    own_stack.stop(signal.SIGKILL)
    wait_until(lambda: own_stack.pids("") == [], PATIENCE_S, "all processes are gone")
