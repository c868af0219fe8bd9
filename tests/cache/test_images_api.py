"""GET /cache/images and DELETE /cache/images/{tag}."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.asserts import assertNumQueries

from cache import services
from cache.models import CachedImage, DockerHost, HostImage
from cache.services import carry_out_removals
from crewship.crews.models import Agent, Crew
from crewship.domain.errors import ImageInUse
from crewship.engine.fake import FakeEngine
from tests.cast import Cast, make_crew
from tests.conftest import Api, ImageMaker, image_id_of
from tests.problem import problem
from tests.rows import all_rows

HASH = "ab" * 32
TAG = "crewship-cache:abababababab"


@pytest.fixture
def watched(host: DockerHost, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A watcher that carries out removals while a request waits for it."""
    engine = FakeEngine()
    monkeypatch.setattr("cache.services.time.sleep", lambda _s: carry_out_removals(engine, host))
    return engine


@pytest.fixture
def image(watched: FakeEngine, make_image: ImageMaker) -> CachedImage:
    return make_image(HASH, image_id=watched.add_image(TAG))


def test_an_image_has_the_contracts_members(api: Api, image: CachedImage) -> None:
    (row,) = api.vera.get("/cache/images").json()["images"]
    created_at = row.pop("created_at")
    assert created_at.endswith("Z")
    assert row == {
        "tag": TAG,
        "config_hash": HASH,
        "size_bytes": 1000,
        "referenced_by_crew_ids": [],
    }


def test_no_images_are_an_empty_list(api: Api) -> None:
    assert api.vera.get("/cache/images").json() == {"images": []}


def test_only_the_callers_crews_are_named(api: Api, cast: Cast, image: CachedImage) -> None:
    Crew.objects.update(cached_image=TAG)
    (own,) = api.vera.get("/cache/images").json()["images"]
    (foreign,) = api.mallory.get("/cache/images").json()["images"]
    assert own["referenced_by_crew_ids"] == [cast.crew.pk]
    assert foreign["referenced_by_crew_ids"] == [cast.strange_crew.pk]


def test_an_image_that_is_not_on_the_host_is_not_listed(api: Api, make_image: ImageMaker) -> None:
    make_image(HASH, seen=False)
    make_image("cd" * 32)
    HostImage.objects.update(image_id=image_id_of("somebody else's"))
    assert api.vera.get("/cache/images").json() == {"images": []}


def test_the_list_asks_the_same_number_of_queries_for_any_number(
    api: Api, make_image: ImageMaker
) -> None:
    for n in range(20):
        make_image(f"{n:02x}" * 32)
    api.vera.get("/cache/images")
    with assertNumQueries(4):
        api.vera.get("/cache/images")


@pytest.mark.parametrize("form", ["crewship-cache:abababababab", "crewship-cache%3Aabababababab"])
def test_an_unused_image_is_gone_when_it_answers(
    form: str, api: Api, image: CachedImage, watched: FakeEngine
) -> None:
    answer = api.adam.delete(f"/cache/images/{form}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert watched.image(TAG) is None
    assert not CachedImage.objects.exists()
    problem(api.adam.delete(f"/cache/images/{form}"), 404, "image_not_cached")


@pytest.mark.parametrize(
    "tag",
    [
        "x",
        "crewship-cache",
        "crewship-cache:",
        "crewship-cache:ABABABABABAB",
        "crewship-cache:ababababab",
        "crewship-cache:abababababab0",
        "crewship-layer:abababababab",
        "debian:bookworm-slim",
        "a/crewship-cache:abababababab",
        "docker.io/library/crewship-cache:abababababab",
        HASH,
    ],
)
def test_anything_but_a_tag_of_ours_is_400(tag: str, api: Api, image: CachedImage) -> None:
    problem(api.adam.delete(f"/cache/images/{tag}"), 400, "tag_invalid")


def test_a_tag_that_is_not_there_is_404(api: Api, image: CachedImage) -> None:
    problem(api.adam.delete("/cache/images/crewship-cache:000000000000"), 404)


def test_a_role_too_low_is_403_whatever_the_tag(api: Api, image: CachedImage) -> None:
    problem(api.mona.delete("/cache/images/nonsense"), 403, "forbidden")
    problem(api.mona.delete("/cache/images/crewship-cache:000000000000"), 403, "forbidden")


def test_a_referenced_image_is_409_with_the_callers_crews(
    api: Api, cast: Cast, image: CachedImage
) -> None:
    Crew.objects.update(cached_image=TAG)
    second = make_crew(cast.workspace, "second")
    Agent.objects.create(crew=second, name="a1", live_image_id=image.image_id)
    before = all_rows()
    body = problem(api.adam.delete(f"/cache/images/{TAG}"), 409, "image_referenced")
    assert body["crew_ids"] == sorted([cast.crew.pk, second.pk])
    assert body["hint"].startswith("Change the config of the crews in crew_ids")
    assert all_rows() == before


def test_an_image_of_another_tenant_is_409_with_an_empty_list(
    api: Api, cast: Cast, image: CachedImage
) -> None:
    Crew.objects.filter(pk=cast.strange_crew.pk).update(cached_image=TAG)
    answer = api.adam.delete(f"/cache/images/{TAG}")
    body = problem(answer, 409)
    assert (body["crew_ids"], body["hint"]) == (
        [],
        "A crew or agent of another workspace uses it.",
    )
    assert cast.strange_crew.pk not in answer.content.decode()
    assert "strange" not in answer.content.decode()


def test_a_live_agent_of_another_tenant_protects_it_too(
    api: Api, cast: Cast, image: CachedImage
) -> None:
    Agent.objects.create(crew=cast.strange_crew, name="a1", live_image_id=image.image_id)
    assert problem(api.adam.delete(f"/cache/images/{TAG}"), 409)["crew_ids"] == []


def test_an_accepted_rebuild_frees_the_old_image(
    api: Api, cast: Cast, cached: CachedImage, watched: FakeEngine
) -> None:
    problem(api.adam.delete(f"/cache/images/{cached.tag}"), 409)
    assert api.mona.post(f"/crews/{cast.crew.pk}/rebuild").status_code == 202
    assert api.adam.delete(f"/cache/images/{cached.tag}").status_code == 204


def test_a_container_on_the_host_keeps_it(
    api: Api, image: CachedImage, watched: FakeEngine
) -> None:
    watched.fail_next("remove_image", ImageInUse("a container runs it"))
    problem(api.adam.delete(f"/cache/images/{TAG}"), 409, "image_in_use")
    assert CachedImage.objects.get().deleting_at is None


def test_a_watcher_that_does_nothing_is_503_and_leaves_no_mark(
    api: Api, make_image: ImageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image(HASH)
    monkeypatch.setattr(services, "REMOVAL_WAIT_S", 0.0)
    problem(api.adam.delete(f"/cache/images/{TAG}"), 503, "unavailable")
    assert CachedImage.objects.get().deleting_at is None


def test_a_silent_host_is_503(api: Api, image: CachedImage) -> None:
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))
    problem(api.adam.delete(f"/cache/images/{TAG}"), 503, "docker_host_lost")


def test_an_image_that_is_being_removed_is_no_hit(
    api: Api, cast: Cast, cached: CachedImage
) -> None:
    CachedImage.objects.update(deleting_at=timezone.now())
    body: dict[str, Any] = api.vera.get(f"/crews/{cast.crew.pk}").json()
    assert body["cached_image"] is None
    assert api.vera.get("/cache/images").json() == {"images": []}


@pytest.mark.parametrize("tail", ["%0A", "%0D%0A", "%00", "%0Ax"])
def test_a_tag_with_a_line_end_is_none(tail: str, api: Api) -> None:
    problem(
        api.alice.delete(f"/cache/images/crewship-cache:0123456789ab{tail}"), 400, "tag_invalid"
    )
