"""GET /crews/{id}/image-status: what the image was made of against what the registries have."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest

from cache.models import CachedImage
from crewship.crews.models import Agent
from crewship.registry.client import OciClient
from provisioning import freshness
from tests.cast import Cast
from tests.conftest import Api, ImageMaker, image_id_of
from tests.registry.server import ScriptedRegistry, digest

OLD, NEW = digest(b"old"), digest(b"new")
BASE = "https://registry-1.docker.io/v2/library/debian/manifests/bookworm-slim"
NODE = "https://ghcr.io/v2/devcontainers/features/node/manifests/1"
NODE_REF = "ghcr.io/devcontainers/features/node:1"
UP_TO_DATE = "Base and features are what their registries have."


def names(found: str) -> httpx.Response:
    return httpx.Response(200, headers={"docker-content-digest": found})


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> ScriptedRegistry:
    """Both registries still have what the image was made of."""
    registry = ScriptedRegistry({BASE: names(OLD), NODE: names(OLD)})
    client = partial(OciClient, transport=registry.transport, resolver=lambda _: ["93.184.215.14"])
    monkeypatch.setattr(freshness, "OciClient", client)
    return registry


@pytest.fixture
def image(cast: Cast, make_image: ImageMaker) -> CachedImage:
    made = make_image(
        cast.crew.config_hash or "",
        provenance={
            "base": {"ref": "debian:bookworm-slim", "digests": [f"debian@{OLD}"]},
            "features": [
                {"ref": NODE_REF, "resolved": f"{NODE_REF.removesuffix(':1')}@{OLD}"},
            ],
            "lock": {},
        },
    )
    cast.crew.cached_image = made.tag
    cast.crew.save()
    return made


@pytest.fixture
def status(api: Api, cast: Cast) -> Any:
    def get() -> dict[str, Any]:
        answer = api.vera.get(f"/crews/{cast.crew.pk}/image-status")
        assert answer.status_code == 200, answer.content
        body: dict[str, Any] = answer.json()
        return body

    return get


def verdict(body: dict[str, Any]) -> tuple[Any, ...]:
    return body["running_digest"], body["resolved_digest"], body["behind"], body["reason"]


def test_nothing_moved(status: Any, registry: ScriptedRegistry, image: CachedImage):
    body = status()
    assert verdict(body) == (OLD, OLD, False, UP_TO_DATE)
    assert body["cached_image"] == image.tag
    assert body["features"] == [
        {
            "ref": NODE_REF, "running_digest": OLD, "resolved_digest": OLD, "behind": False,
            "reason": "",
        }
    ]  # fmt: skip


def test_registries_are_asked_without_pulling(
    status: Any, registry: ScriptedRegistry, image: CachedImage
):
    status()
    assert {(r.method, str(r.url)) for r in registry.requests} == {("HEAD", BASE), ("HEAD", NODE)}


def test_a_base_that_moved_is_told(status: Any, registry: ScriptedRegistry, image: CachedImage):
    registry.answers[BASE] = names(NEW)
    reason = "Published anew since: debian:bookworm-slim."
    assert verdict(status()) == (OLD, NEW, True, reason)


def test_a_feature_that_moved_is_told(status: Any, registry: ScriptedRegistry, image: CachedImage):
    registry.answers[NODE] = names(NEW)
    body = status()
    assert verdict(body) == (OLD, OLD, True, f"Published anew since: {NODE_REF}.")
    assert (body["features"][0]["resolved_digest"], body["features"][0]["behind"]) == (NEW, True)


def test_what_a_registry_does_not_say_is_computed(
    status: Any, registry: ScriptedRegistry, image: CachedImage
):
    registry.answers[BASE] = httpx.Response(200, content=b"new")
    assert verdict(status())[:3] == (OLD, NEW, True)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(404), "does not exist"),
        (httpx.Response(401), "private or does not exist"),
        (httpx.Response(429), "refuses more requests"),
        (httpx.Response(503), "answers 503"),
    ],
)
def test_what_cannot_be_known_is_null_with_the_reason(
    answer: httpx.Response,
    reason: str,
    status: Any,
    registry: ScriptedRegistry,
    image: CachedImage,
):
    registry.answers[BASE] = answer
    running, resolved, behind, said = verdict(status())
    assert (running, resolved, behind) == (OLD, None, None)
    assert reason in said


def test_a_part_that_moved_counts_though_another_is_not_known(
    status: Any, registry: ScriptedRegistry, image: CachedImage
):
    registry.answers |= {BASE: httpx.Response(503), NODE: names(NEW)}
    assert verdict(status())[2] is True


def test_a_registry_that_hangs_is_not_waited_for(
    status: Any, registry: ScriptedRegistry, image: CachedImage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(freshness, "PATIENCE_S", 0.0)
    assert verdict(status())[2] is None


def test_an_answer_serves_for_a_while_and_so_does_a_failure(
    status: Any, registry: ScriptedRegistry, image: CachedImage
):
    registry.answers[NODE] = httpx.Response(503)
    first = status()
    registry.answers |= {BASE: names(NEW), NODE: names(NEW)}
    assert status() == first
    assert len(registry.requests) == 2


def test_a_base_without_a_digest_is_of_this_host_alone(
    status: Any, registry: ScriptedRegistry, image: CachedImage
):
    image.provenance["base"]["digests"] = []
    image.save()
    running, resolved, behind, reason = verdict(status())
    assert (running, resolved, behind) == (None, None, None)
    assert "of this host alone" in reason


def test_what_the_crew_insists_on_is_never_behind(
    status: Any, registry: ScriptedRegistry, image: CachedImage
):
    image.provenance["lock"] = {NODE_REF: OLD}
    image.save()
    registry.answers[NODE] = names(NEW)
    assert verdict(status())[2] is False


def test_a_crew_without_an_image_has_nothing_to_compare(status: Any, registry: ScriptedRegistry):
    body = status()
    assert verdict(body) == (None, None, None, "The crew has no image.")
    assert registry.requests == []


def test_agents_on_another_image_are_counted(
    status: Any, registry: ScriptedRegistry, image: CachedImage, cast: Cast
):
    Agent.objects.create(crew=cast.crew, name="old", live_image_id=image_id_of("old"))
    Agent.objects.create(crew=cast.crew, name="new", live_image_id=image.image_id)
    assert status()["agents_pending_restart"] == 1


def test_a_registry_that_is_not_allowed_any_more_is_not_asked(
    status: Any, registry: ScriptedRegistry, image: CachedImage, set_options: Any, settings: Any
):
    set_options(policy=replace(settings.CREWSHIP.policy, registries=("quay.io",)))
    body = status()
    assert (body["behind"], registry.requests) == (None, [])
    assert "not of an allowed registry" in body["reason"]
