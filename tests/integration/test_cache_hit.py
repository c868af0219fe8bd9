"""When a provision ends at once, and when it must build: the recorded image, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.stack.features import ref
from tests.stack.server import Api, Stack, wait_until

pytestmark = pytest.mark.engine
Config = Callable[..., dict[str, Any]]


def _engine_did(client: docker.DockerClient, since: float, until: float) -> set[str]:
    events = client.events(since=int(since), until=int(until) + 1, decode=True)
    return {event["Action"].split(":")[0] for event in events if "Action" in event}


def test_a_second_provision_of_an_unchanged_crew_asks_nothing_of_the_engine(
    api: Api, config: Config, slug: str, docker_client: docker.DockerClient
) -> None:
    crew = api.crew(slug, config(features={ref("tool"): {}}))
    tag = api.build(crew)
    image_id = docker_client.images.get(tag).id
    time.sleep(1.5)  # engine events have whole seconds
    began = time.time()
    api.provision(crew)
    status = api.wait(crew, within_s=2)
    ended = time.time()
    assert status["status"] == "completed"
    assert not {"create", "commit"} & _engine_did(docker_client, began, ended + 1)
    assert docker_client.images.get(tag).id == image_id
    newest = api.jobs(crew)[0]
    assert newest["cache_hit"] is True


def test_the_events_of_a_hit_say_so(api: Api, config: Config, slug: str, stack: Stack) -> None:
    crew = api.crew(slug, config())
    api.build(crew)
    api.build(crew)
    job = api.jobs(crew)[0]["id"]
    kinds = stack.rows("SELECT kind FROM provisioning_jobevent WHERE job_id = ?", job)
    assert ("cache.hit",) in kinds


def test_after_docker_rmi_the_list_shows_it_within_2_s_and_the_next_post_builds(
    api: Api, config: Config, slug: str, docker_client: docker.DockerClient
) -> None:
    crew = api.crew(slug, config(features={ref("tool"): {}}))
    tag = api.build(crew)
    docker_client.images.remove(tag)
    wait_until(lambda: tag not in api.images(), 2, "the removal is seen")
    assert api.build(crew) == tag
    assert api.jobs(crew)[0]["cache_hit"] is False
    assert "Feature tool reused" in api.log(crew)
    wait_until(lambda: tag in api.images(), 2, "the image is listed again")


def test_an_image_that_carries_our_tag_without_our_record_is_not_trusted(
    api: Api, config: Config, slug: str, docker_client: docker.DockerClient
) -> None:
    crew = api.crew(slug, config())
    tag = api.build(crew)
    base = docker_client.images.get("debian:bookworm-slim")
    base.tag(*tag.split(":"))
    wait_until(lambda: tag not in api.images(), 2, "the foreign image is seen")
    assert api.build(crew) == tag
    assert docker_client.images.get(tag).id != base.id
    assert docker_client.images.get("debian:bookworm-slim").id == base.id


def test_one_changed_option_builds_from_that_feature_on(
    api: Api, config: Config, slug: str
) -> None:
    made = config(features={ref("note"): {"text": "1"}, ref("tool"): {"word": "one"}})
    crew = api.crew(slug, made)
    api.build(crew)
    made["features"][ref("tool")] = {"word": "two"}
    api.configure(crew, made)
    api.build(crew)
    log = api.log(crew)
    assert "Feature note reused" in log
    assert "Feature tool installed" in log


def test_a_rebuild_uses_no_existing_layer_and_moves_the_tag(
    api: Api, config: Config, slug: str, docker_client: docker.DockerClient
) -> None:
    crew = api.crew(slug, config(features={ref("tool"): {}}))
    tag = api.build(crew)
    old = docker_client.images.get(tag).id
    assert api.build(crew, "rebuild") == tag
    assert docker_client.images.get(tag).id != old
    assert "Feature tool installed" in api.log(crew)


def test_crews_with_one_config_share_one_build(api: Api, config: Config, slug: str) -> None:
    made = config(features={ref("slow"): {"count": "3"}})
    crews = [api.crew(f"{slug}-{n}", made) for n in range(4)]
    for crew in crews:
        api.provision(crew)
    tags = {api.wait(crew)["cached_image"] for crew in crews}
    assert len(tags) == 1
    built = [crew for crew in crews if not api.jobs(crew)[0]["cache_hit"]]
    assert len(built) == 1
