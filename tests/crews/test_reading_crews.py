from __future__ import annotations

from typing import Any

import pytest
from pytest_django.asserts import assertNumQueries

from cache.models import CachedImage, HostImage
from crewship.crews.models import Crew
from crewship.crews.services import refresh_hashes
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from tests.cast import Cast, make_crew
from tests.conftest import Api, JobMaker
from tests.problem import problem


def test_the_list_has_the_workspaces_crews_newest_first(api: Api, cast: Cast) -> None:
    make_crew(cast.workspace, "second")
    body = api.vera.get("/crews").json()
    assert [crew["slug"] for crew in body["results"]] == ["second", "backend"]
    assert (body["next"], body["previous"]) == (None, None)


def test_a_slug_finds_its_crew_and_no_other(api: Api, cast: Cast) -> None:
    make_crew(cast.workspace, "backend-2")
    found = api.vera.get("/crews?slug=backend").json()["results"]
    assert [crew["id"] for crew in found] == [cast.crew.pk]


@pytest.mark.parametrize("slug", ["absent", "", "BACKEND", "a%00b", "%F0%9F%9A%A2"])
def test_a_slug_that_no_crew_has_finds_nothing(slug: str, api: Api, cast: Cast) -> None:
    answer = api.vera.get(f"/crews?slug={slug}")
    assert (answer.status_code, answer.json()["results"]) == (200, [])


def test_a_slug_of_another_workspace_finds_nothing(api: Api, cast: Cast) -> None:
    assert api.mallory.get(f"/crews?slug={cast.crew.slug}").json()["results"] == []


def test_an_empty_list_is_a_list(api: Api, cast: Cast) -> None:
    cast.crew.delete()
    assert api.vera.get("/crews").json() == {"results": [], "next": None, "previous": None}


def test_a_page_has_50_and_the_next_one_goes_on(api: Api, cast: Cast) -> None:
    Crew.objects.bulk_create(
        Crew(workspace=cast.workspace, name=f"c{n}", slug=f"c{n}") for n in range(60)
    )
    first = api.vera.get("/crews").json()
    assert len(first["results"]) == 50
    query = first["next"].partition("?")[2]
    second = api.vera.get(f"/crews?{query}").json()
    assert (len(second["results"]), second["next"]) == (11, None)
    assert not {c["id"] for c in first["results"]} & {c["id"] for c in second["results"]}


@pytest.mark.parametrize("crews", [1, 20])
def test_the_list_asks_the_same_number_of_queries_for_any_number(
    crews: int, api: Api, cast: Cast, make_job: JobMaker
) -> None:
    for n in range(crews):
        make_job(make_crew(cast.workspace, f"c{n}"), JobState.FAILED)
    Crew.objects.update(cached_image="crewship-cache:0123456789ab")
    api.vera.get("/crews")  # notes the token's use, once a minute
    with assertNumQueries(5):
        api.vera.get("/crews")


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (JobState.PENDING, "pending"),
        (JobState.RUNNING, "running"),
        (JobState.FAILED, "failed"),
        (JobState.CANCELLED, "idle"),
    ],
)
def test_a_crew_shows_its_latest_job(
    state: JobState, shown: str, api: Api, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew, state)
    assert api.vera.get(f"/crews/{cast.crew.pk}").json()["provision_status"] == shown
    assert api.vera.get("/crews").json()["results"][0]["provision_status"] == shown


def test_an_image_that_left_the_host_is_not_shown(
    api: Api, cast: Cast, cached: CachedImage
) -> None:
    assert api.vera.get(f"/crews/{cast.crew.pk}").json()["cached_image"] == cached.tag
    HostImage.objects.all().delete()
    body = api.vera.get(f"/crews/{cast.crew.pk}").json()
    assert (body["cached_image"], body["provision_status"]) == (None, "idle")


def test_a_deleted_crew_is_gone_with_its_jobs(api: Api, cast: Cast, make_job: JobMaker) -> None:
    make_job(cast.crew, JobState.RUNNING)
    answer = api.adam.delete(f"/crews/{cast.crew.pk}")
    assert (answer.status_code, answer.content) == (204, b"")
    problem(api.adam.get(f"/crews/{cast.crew.pk}"), 404, "crew_not_found")
    assert not ProvisionJob.objects.exists()


def test_a_new_generator_shows_new_hashes_after_a_start(
    api: Api, cast: Cast, cached: CachedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crewship.devcontainer.hashing.GENERATOR", "crewship-next")
    assert refresh_hashes() == 2  # mallory's crew too
    body: dict[str, Any] = api.vera.get(f"/crews/{cast.crew.pk}").json()
    assert body["config_hash"] != cast.crew.config_hash
    assert body["cached_image"] is None
    assert refresh_hashes() == 0


def test_a_text_that_became_illegal_keeps_its_hash(cast: Cast) -> None:
    Crew.objects.filter(pk=cast.crew.pk).update(devcontainer_config='{"privileged": true}')
    assert refresh_hashes() == 0
    assert Crew.objects.get(pk=cast.crew.pk).config_hash == cast.crew.config_hash
