"""mise tools in the image: node from a mirror made of npm packages, a tool of the npm backend."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crewship.cli.node_mirror import bridge_address, ensure_mirror, serve_in_background
from tests.stack.features import ref
from tests.stack.images import run_in
from tests.stack.server import Api, Stack, running_stack

pytestmark = pytest.mark.engine
Config = Callable[..., dict[str, Any]]
CACHE = Path(__file__).resolve().parents[2] / ".cache"  # downloads of earlier runs


@pytest.fixture(scope="module")
def mise_stack(
    tmp_path_factory: pytest.TempPathFactory, stack_settings: dict[str, str]
) -> Iterator[Stack]:
    url = serve_in_background(ensure_mirror(CACHE / "node-mirror"), bridge_address())
    mise_env = f"MISE_NODE_MIRROR_URL={url},MISE_NPM_PACKAGE_MANAGER=npm"
    settings = {**stack_settings, "CREWSHIP_MISE_ENV": mise_env}
    with running_stack(tmp_path_factory.mktemp("mise-stack"), settings, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def built(mise_stack: Stack) -> tuple[Api, str, str]:
    """The API, a crew with node and an npm tool, and its image's tag."""
    api = mise_stack.bootstrap()
    tools = {"node": "22", "npm:prettier": ["3"]}
    mise = {"tools": tools, "env": {"GREETING": "$(id) {{ env.HOME }}"}}
    crew = api.crew("mise", mise_config=json.dumps(mise))
    return api, crew, api.build(crew, within_s=240)


@pytest.mark.parametrize(
    "argv",
    [
        ["node", "--version"],
        ["sh", "-c", "node --version"],
        ["bash", "-lc", "node --version"],
        ["env", "-i", "bash", "-lc", "node --version"],
    ],
)
def test_node_is_found_in_every_kind_of_shell(built: tuple[Api, str, str], argv: list[str]) -> None:
    _, _, tag = built
    said = run_in(tag, *argv)
    assert said.startswith("v22.")


@pytest.mark.parametrize("shell", [["sh", "-c"], ["bash", "-lc"]])
def test_an_npm_tool_is_found_and_runs_as_the_agent(
    built: tuple[Api, str, str], shell: list[str]
) -> None:
    _, _, tag = built
    said = run_in(tag, *shell, "prettier --version; id -u")
    assert said.startswith("3.")
    assert said.endswith("\n1001\n")


def test_mise_itself_works_for_the_agent(built: tuple[Api, str, str]) -> None:
    _, _, tag = built
    said = run_in(tag, "mise", "ls")
    assert "node" in said


def test_nothing_of_the_tools_is_below_the_home(built: tuple[Api, str, str]) -> None:
    _, _, tag = built
    found = run_in(tag, "sh", "-c", "find /home/agent -type f | sort")
    names = {line.rpartition("/")[2] for line in found.split()}
    assert names == {".bashrc", ".bash_logout", ".profile"}


def test_mises_env_is_literal(built: tuple[Api, str, str]) -> None:
    _, _, tag = built
    said = run_in(tag, "sh", "-c", 'printf %s "$GREETING"')
    assert said == "$(id) {{ env.HOME }}"


def test_the_mise_layer_is_used_again_by_a_crew_with_another_environment(
    built: tuple[Api, str, str],
) -> None:
    api, _, _ = built
    other = {"image": "debian:bookworm-slim", "containerEnv": {"OTHER": "1"}}
    crew = api.crew("other", other, mise_config='{"tools": {"node": "22", "npm:prettier": "3"}}')
    api.build(crew)
    assert "reused" in api.log(crew)


def test_a_tool_that_does_not_exist_fails_with_mises_words(
    built: tuple[Api, str, str],
) -> None:
    api, _, _ = built
    config = {"image": "debian:bookworm-slim", "features": {ref("tool"): {}}}
    crew = api.crew("wrong", config, mise_config='{"tools": {"no-such-tool-at-all": "1"}}')
    api.provision(crew)
    status = api.wait(crew)
    assert status["status"] == "failed"
    assert "no-such-tool-at-all" in status["error"]
