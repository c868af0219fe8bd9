"""The cached-image registry and its sweeper on the real engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.stack.server import Api, Stack, wait_until

pytestmark = pytest.mark.engine
Config = Callable[..., dict[str, Any]]


def _tags(client: docker.DockerClient) -> set[str]:
    return {tag for image in client.images.list() for tag in image.tags}


def test_a_referenced_image_is_refused_with_its_crews(api: Api, config: Config, slug: str) -> None:
    crew = api.crew(slug, config())
    tag = api.build(crew)
    answer = api.http.delete(f"/cache/images/{tag}")
    assert answer.status_code == 409
    assert answer.json()["crew_ids"] == [crew]


def test_a_deleted_image_is_gone_when_the_request_answers(
    api: Api, config: Config, slug: str, docker_client: docker.DockerClient
) -> None:
    crew = api.crew(slug, config())
    tag = api.build(crew)
    api.http.delete(f"/crews/{crew}")
    answer = api.http.delete(f"/cache/images/{tag.replace(':', '%3A')}")
    assert answer.status_code == 204
    assert tag not in _tags(docker_client)
    assert tag not in api.images()
    assert api.http.delete(f"/cache/images/{tag}").status_code == 404


def test_an_image_can_be_deleted_while_its_rebuild_runs(
    api: Api, config: Config, slug: str
) -> None:
    crew = api.crew(slug, config(postCreateCommand="sleep 3"))
    tag = api.build(crew)
    api.provision(crew, "rebuild")
    assert api.status(crew)["cached_image"] is None
    assert api.http.delete(f"/cache/images/{tag}").status_code == 204
    assert api.wait(crew)["cached_image"] == tag


def test_the_sweeper_reports_first_and_removes_when_told(
    api: Api, stack: Stack, config: Config, slug: str, docker_client: docker.DockerClient
) -> None:
    kept = api.build(api.crew(f"{slug}-kept", config()))
    crew = api.crew(slug, config())
    orphan = api.build(crew)
    api.http.delete(f"/crews/{crew}")
    docker_client.images.get("debian:bookworm-slim").tag("crewship-cache", "feedfeedfeed")
    try:
        young = stack.manage("gc", "--dry-run")
        assert orphan not in young
        no_floor = {"CREWSHIP_CACHE_GC_FLOOR": "0"}
        assert orphan in stack.manage("gc", "--dry-run", **no_floor)
        assert orphan in _tags(docker_client)
        swept = stack.manage("gc", "--yes", **no_floor)
        assert orphan in swept
        assert kept not in swept
        left = _tags(docker_client)
        assert orphan not in left
        assert {kept, "crewship-cache:feedfeedfeed", "debian:bookworm-slim"} <= left
        wait_until(lambda: orphan not in api.images(), 2, "the list follows")
    finally:
        docker_client.images.remove("crewship-cache:feedfeedfeed")
