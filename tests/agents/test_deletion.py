"""Deleting agents and crews: containers are gone with the answer, volumes when that was said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.agents.conftest import built_crew, make_agent
from tests.stack.server import Api, Stack

pytestmark = pytest.mark.agents

Config = Callable[..., dict[str, Any]]
DATA = {"mounts": ["source=data,target=/data,type=volume"]}
STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"


def containers_of(client: docker.DockerClient, crew: str) -> list[str]:
    return [str(c.name) for c in client.containers.list(all=True, filters={"name": crew})]


def volumes_of(stack: Stack, crew: str) -> set[str]:
    rows = stack.rows("select name from provisioning_agentvolume where crew_id = ?", crew)
    return {name for (name,) in rows}


def volumes_there(client: docker.DockerClient, names: set[str]) -> set[str]:
    return names & {volume.name for volume in client.volumes.list()}


def test_an_agents_container_is_gone_with_the_answer(
    api: Api, config: Config, slug: str, docker_client: docker.DockerClient
):
    crew = built_crew(api, slug, config())
    agent = make_agent(api, crew, "stubborn", STUBBORN).start()
    other = make_agent(api, crew, "other", "sleep 99").start()
    assert api.http.delete(agent.path, timeout=60).status_code == 204
    assert containers_of(docker_client, crew) == [other.container]
    assert api.http.get(agent.path).status_code == 404


def test_a_crew_asks_before_its_volumes_go(
    api: Api, stack: Stack, config: Config, slug: str, docker_client: docker.DockerClient
):
    crew = built_crew(api, slug, config(**DATA))
    make_agent(api, crew, "writer", "echo kept > /data/file; sleep 99").start()
    volumes = volumes_of(stack, crew)
    answer = api.http.delete(f"/crews/{crew}", timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (409, "volumes_exist")
    assert set(answer.json()["volumes"]) == volumes != set()
    assert len(containers_of(docker_client, crew)) == 1
    assert api.http.delete(f"/crews/{crew}?volumes=delete", timeout=60).status_code == 204
    assert containers_of(docker_client, crew) == []
    assert volumes_there(docker_client, volumes) == set()


def test_volumes_that_are_to_stay_do(
    api: Api, stack: Stack, config: Config, slug: str, docker_client: docker.DockerClient
):
    crew = built_crew(api, slug, config(**DATA))
    make_agent(api, crew, "writer", "echo kept > /data/file; sleep 99").start()
    volumes = volumes_of(stack, crew)
    assert api.http.delete(f"/crews/{crew}?volumes=keep", timeout=60).status_code == 204
    assert containers_of(docker_client, crew) == []
    assert volumes_there(docker_client, volumes) == volumes
    for name in volumes:
        docker_client.volumes.get(name).remove()
