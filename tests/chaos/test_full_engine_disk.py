"""One build fills the disk of the engine: it fails, and a build beside it completes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.stack.engine import OwnEngine, own_engine
from tests.stack.server import Api, Stack, running_stack, wait_until

pytestmark = pytest.mark.chaos
Config = Callable[..., dict[str, Any]]
DISK_MB = 2500  # of which 5 %, 120 MB, stay free

# A step that writes a little all the time, and fails where it can't.
SMALL = (
    "echo begun; i=0; while [ $i -lt 40 ]; do i=$((i + 1)); sleep 0.5; "
    "head -c 50000 /dev/zero >> ~/small || exit 9; done; echo ended"
)
STEADY = "echo begun; while :; do head -c 20000000 /dev/zero >> ~/big || exit 9; sleep 0.1; done"
AT_ONCE = "echo begun; cat /dev/zero > ~/big"


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    with own_engine(DISK_MB) as made:
        yield made


@pytest.fixture(scope="module")
def own_stack(
    tmp_path_factory: pytest.TempPathFactory, stack_settings: dict[str, str], engine: OwnEngine
) -> Iterator[Stack]:
    settings = {**stack_settings, "DOCKER_HOST": engine.host}
    with running_stack(tmp_path_factory.mktemp("full") / "data", settings, workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def own_api(own_stack: Stack) -> Api:
    return own_stack.bootstrap()


def begun(api: Api, crew: str) -> Callable[[], bool]:
    return lambda: "| begun" in api.status(crew).get("log_tail", [])


def nothing_is_left(stack: Stack, engine: OwnEngine) -> bool:
    listed = engine.run_docker("ps", "--all", "--format", "{{.Names}}").stdout.split()
    rows = stack.rows("SELECT name FROM provisioning_scratchcontainer")
    return not rows and not [name for name in listed if name.startswith("crewship-build")]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("command", "codes"),
    [
        (STEADY, {"insufficient_storage"}),
        # So fast that the disk may be full before anybody has looked.
        pytest.param(AT_ONCE, {"insufficient_storage", "disk_full"}, marks=pytest.mark.long),
    ],
    ids=["steadily", "at-once"],
)
def test_one_build_fills_the_engines_disk_and_another_completes(
    own_stack: Stack,
    own_api: Api,
    engine: OwnEngine,
    config: Config,
    slug: str,
    command: str,
    codes: set[str],
) -> None:
    small = own_api.crew(f"{slug}-small", config(onCreateCommand=SMALL))
    big = own_api.crew(f"{slug}-big", config(onCreateCommand=command))
    own_api.provision(small)
    wait_until(begun(own_api, small), 120, "the small build runs")
    own_api.provision(big)
    assert own_api.wait(big, within_s=180)["status"] == "failed"
    error = own_api.jobs(big)[0]["error"]
    assert error["code"] in codes
    if error["code"] == "insufficient_storage":
        assert str(engine.data_root) in error["hint"]
    assert own_api.wait(small, within_s=240)["status"] == "completed", own_api.log(small)
    wait_until(lambda: nothing_is_left(own_stack, engine), 30, "no container is left")
    own_api.configure(big, config(onCreateCommand="echo room again"))
    own_api.build(big)
