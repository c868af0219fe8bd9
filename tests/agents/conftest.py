"""One installation for all agents' tests, on the real engine, driven through its API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from crewship.cli.node_mirror import bridge_address, ensure_mirror, serve_in_background
from tests.integration.conftest import (  # noqa: F401  # fixtures are found by their names
    config,
    docker_client,
    layout,
    slug,
)
from tests.stack.features import NAMESPACE
from tests.stack.images import run_by_docker
from tests.stack.server import Api, Stack, running_stack, wait_until

GRACE_S = 3
CACHE = Path(__file__).resolve().parents[2] / ".cache"  # downloads of earlier runs


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    layout: Any,  # noqa: F811
    docker_client: docker.DockerClient,  # noqa: F811
) -> Iterator[Stack]:
    mirror = serve_in_background(ensure_mirror(CACHE / "node-mirror"), bridge_address())
    settings = {
        "CREWSHIP_FEATURE_LAYOUTS": f"{NAMESPACE}={layout}",
        "CREWSHIP_AGENT_GRACE": str(GRACE_S),
        "CREWSHIP_AGENT_MEMORY_MB": "256",
        "CREWSHIP_AGENT_SUBNETS": "10.217.0.0/16",
        "CREWSHIP_MISE_ENV": f"MISE_NODE_MIRROR_URL={mirror}",
    }
    with running_stack(tmp_path_factory.mktemp("agents"), settings) as running:
        yield running


@pytest.fixture(scope="session")
def api(stack: Stack) -> Api:
    return stack.bootstrap()


@dataclass(frozen=True, slots=True)
class AgentOf:
    """One agent and its crew, through the API; what is inside through docker's command."""

    api: Api
    crew: str
    id: str
    name: str

    @property
    def container(self) -> str:
        return f"crewship-{self.crew}-{self.name}"

    @property
    def path(self) -> str:
        return f"/crews/{self.crew}/agents/{self.id}"

    def row(self) -> dict[str, Any]:
        answer = self.api.http.get(self.path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def act(self, verb: str) -> None:
        answer = self.api.http.post(f"{self.path}/{verb}")
        assert answer.status_code == 202, answer.text

    def change(self, **fields: Any) -> None:
        answer = self.api.http.patch(self.path, json=fields)
        assert answer.status_code == 200, answer.text

    def wait(self, status: str, within_s: float = 60) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            row = self.row()
            assert row["status"] != "failed" or status == "failed", row
            return row if row["status"] == status else None

        return dict(wait_until(reached, within_s, f"{self.name} {status}", 0.05))

    def start(self) -> AgentOf:
        self.act("start")
        self.wait("running")
        return self

    def log(self) -> str:
        answer = self.api.http.get(f"{self.path}/logs?tail=10000")
        assert answer.status_code == 200, answer.text
        return answer.text

    def wait_for_log(self, text: str, within_s: float = 15) -> str:
        return str(wait_until(lambda: log if text in (log := self.log()) else "", within_s, text))

    def run(self, command: str, user: str = "1001") -> str:
        """What a command printed within the running container (without the agent's own env)."""
        return run_by_docker("exec", "--user", user, self.container, "/bin/sh", "-c", command)


def make_agent(api: Api, crew: str, name: str, command: str = "", **fields: Any) -> AgentOf:
    answer = api.http.post(
        f"/crews/{crew}/agents", json={"name": name, "command": command, **fields}
    )
    assert answer.status_code == 201, answer.text
    return AgentOf(api, crew, answer.json()["id"], name)


def built_crew(api: Api, slug: str, config: dict[str, Any], **fields: Any) -> str:  # noqa: F811
    crew = api.crew(slug, config, **fields)
    api.build(crew)
    return crew


def inspect(container: str) -> dict[str, Any]:
    return dict(json.loads(run_by_docker("inspect", container))[0])
