"""The Docker engine is restarted while jobs run and wait: none of them is lost to it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.stack.engine import OwnEngine, own_engine
from tests.stack.features import ref
from tests.stack.server import Api, Stack, running_stack, wait_until

pytestmark = pytest.mark.chaos
Config = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    with own_engine() as made:
        yield made


@pytest.fixture(scope="module")
def own_stack(
    tmp_path_factory: pytest.TempPathFactory, stack_settings: dict[str, str], engine: OwnEngine
) -> Iterator[Stack]:
    settings = {**stack_settings, "DOCKER_HOST": engine.host}
    with running_stack(tmp_path_factory.mktemp("away") / "data", settings) as running:
        yield running


@pytest.fixture(scope="module")
def own_api(own_stack: Stack) -> Api:
    return own_stack.bootstrap()


def _slow(config: Config, seconds: int, name: str = "slow") -> dict[str, Any]:
    """Its log tells when the command runs; it goes on for that long."""
    return config(onCreateCommand=f"echo begun {name}; sleep {seconds}; echo ended {name}")


def _begun(api: Api, crew: str, name: str = "slow") -> Callable[[], bool]:
    return lambda: f"| begun {name}" in api.status(crew).get("log_tail", [])


def _times_lost(stack: Stack, crew: str) -> int:
    [(times,)] = stack.rows(
        "SELECT lost_engines FROM provisioning_provisionjob WHERE crew_id = ?"
        " ORDER BY id DESC LIMIT 1",
        crew,
    )
    return int(times)


def _nothing_is_left(stack: Stack, engine: OwnEngine) -> bool:
    listed = engine.run_docker("ps", "--all", "--format", "{{.Names}}").stdout.split()
    rows = stack.rows("SELECT name FROM provisioning_scratchcontainer")
    return not rows and not [name for name in listed if name.startswith("crewship-build")]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "with_signal",
    [
        pytest.param(signal.SIGTERM, id="stop"),
        pytest.param(signal.SIGKILL, id="kill", marks=pytest.mark.long),
    ],
)
def test_running_and_waiting_jobs_are_done_after_a_restart(
    with_signal: int, own_stack: Stack, own_api: Api, config: Config, engine: OwnEngine
) -> None:
    prefix = f"restart-{int(with_signal)}"
    running = [own_api.crew(f"{prefix}-run-{n}", _slow(config, 10)) for n in range(2)]
    for crew in running:
        own_api.provision(crew)
    for crew in running:
        wait_until(_begun(own_api, crew), 90, "it runs")
    note: dict[str, Any] = {ref("note"): {}}
    waiting = [own_api.crew(f"{prefix}-wait-{n}", config(features=note)) for n in range(4)]
    for crew in waiting:
        own_api.provision(crew)
    engine.stop(with_signal)
    for crew in running:
        wait_until(lambda c=crew: _times_lost(own_stack, c) == 1, 60, "it waits again")  # type: ignore[misc]
    for crew in [*running, *waiting]:
        status = own_api.status(crew)
        assert status["status"] == "pending", status
    engine.start()
    for crew in [*running, *waiting]:
        status = own_api.wait(crew, 180)
        assert status["status"] == "completed", own_api.log(crew) + str(status)
    assert [_times_lost(own_stack, crew) for crew in waiting] == [0] * 4
    wait_until(lambda: _nothing_is_left(own_stack, engine), 30, "nothing of ours is left")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_job_that_loses_its_engine_twice_says_what_was_under_way(
    own_stack: Stack, own_api: Api, config: Config, engine: OwnEngine
) -> None:
    crew = own_api.crew("twice", _slow(config, 600))
    own_api.provision(crew)
    for times in (1, 2):
        wait_until(
            lambda n=times: own_api.log(crew).count("| begun slow") == n,  # type: ignore[misc]
            120,
            "it runs",
        )
        engine.stop(signal.SIGKILL)
        if times == 1:
            wait_until(lambda: _times_lost(own_stack, crew) == 1, 60, "it waits again")
        else:
            wait_until(lambda: own_api.status(crew)["status"] == "failed", 60, "it fails")
        engine.start()
    error = own_api.jobs(crew)[0]["error"]
    assert error["code"] == "engine_lost"
    assert error["message"].startswith("The Docker engine went away during: onCreateCommand")
    wait_until(lambda: _nothing_is_left(own_stack, engine), 60, "nothing of ours is left")
    own_api.build(own_api.crew("after", config(features={ref("note"): {}})))
