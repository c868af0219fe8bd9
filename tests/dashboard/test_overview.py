"""The list of crews: each state, filters, the badge, the parts that refresh."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cache.models import CachedImage
from crewship.crews.models import Agent
from provisioning.overview import crew_rows, workspace_badge
from provisioning.states import JobState
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker
from tests.dashboard.conftest import Browse


def page_of(browse: Browse, query: str = "") -> str:
    return " ".join(browse.vera.get(f"/w/acme/{query}").content.decode().split())


def test_a_workspace_without_crews_says_what_to_do(cast: Cast, browse: Browse):
    assert "No crew is like that" in page_of(browse, "?q=zzz")
    cast.crew.delete()
    assert "No crew yet" in page_of(browse)
    assert "crewship crew create" in browse.mona.get("/w/acme/").content.decode()


def test_a_crew_without_an_image_is_not_built(browse: Browse):
    assert "Not built" in page_of(browse)


def test_a_crew_with_its_image_is_ready_with_its_age(browse: Browse, cached: CachedImage):
    page = page_of(browse)
    assert "Ready" in page
    assert "built <time" in page


def test_a_running_build_shows_step_and_message(cast: Cast, browse: Browse, make_job: JobMaker):
    make_job(cast.crew, JobState.RUNNING, step=3, message="installing (2 of 3: node:1)")
    page = page_of(browse)
    assert "Building, step 3 of 6" in page
    assert "installing (2 of 3: node:1)" in page


def test_waiting_builds_have_a_place_in_line(cast: Cast, make_job: JobMaker):
    other = make_crew(cast.workspace, "other")
    make_job(cast.crew)
    make_job(other)
    assert [row.place for row in crew_rows([other, cast.crew])] == [2, 1]


def test_a_failed_build_shows_its_reason_as_text(cast: Cast, browse: Browse, make_job: JobMaker):
    make_job(cast.crew, JobState.FAILED, error="<b>exit code 3</b>")
    page = page_of(browse)
    assert "Failed" in page
    assert "&lt;b&gt;exit code 3&lt;/b&gt;" in page
    assert "<b>exit" not in page


def test_a_failure_of_an_older_config_does_not_count(cast: Cast, make_job: JobMaker):
    make_job(cast.crew, JobState.FAILED, config_hash="0" * 64)
    assert workspace_badge(cast.workspace).text == ""
    [row] = crew_rows([cast.crew])
    assert row.status == "idle"


def test_agents_on_an_old_image_are_counted(cast: Cast, cached: CachedImage):
    Agent.objects.create(crew=cast.crew, name="old", command="x", live_image_id="sha256:old")
    Agent.objects.create(crew=cast.crew, name="new", command="x", live_image_id=cached.image_id)
    [row] = crew_rows([cast.crew])
    assert (row.agents, row.agents_to_restart) == (2, 1)
    assert workspace_badge(cast.workspace).text == "1 to restart"


def test_the_badge_says_the_most_urgent_thing(cast: Cast, make_job: JobMaker):
    assert workspace_badge(cast.workspace).text == ""
    make_job(make_crew(cast.workspace, "done"), JobState.COMPLETED)
    assert workspace_badge(cast.workspace).text == "Built 1"
    make_job(cast.crew, JobState.RUNNING)
    assert workspace_badge(cast.workspace).text == "Building 1"
    make_job(make_crew(cast.workspace, "broken"), JobState.FAILED)
    assert workspace_badge(cast.workspace).text == "1 failed, 1 building"


def test_a_finished_build_leaves_the_badge_after_a_while(cast: Cast, make_job: JobMaker):
    then = timezone.now() - timedelta(minutes=5)
    make_job(cast.crew, JobState.COMPLETED, finished_at=then)
    assert workspace_badge(cast.workspace).text == ""


def test_filters_show_what_they_say(cast: Cast, browse: Browse, make_job: JobMaker):
    make_job(cast.crew, JobState.FAILED)
    make_job(make_crew(cast.workspace, "busy"), JobState.RUNNING)
    assert [">Backend<" in page_of(browse, q) for q in ("", "?show=failed", "?show=building")] == [
        True,
        True,
        False,
    ]


def test_the_refreshed_rows_are_own_crews_only(cast: Cast, browse: Browse):
    url = f"/w/acme/live?crew={cast.crew.pk}&crew={cast.strange_crew.pk}&crew=%00"
    page = browse.vera.get(url).content.decode()
    assert f'id="row-{cast.crew.pk}"' in page
    assert cast.strange_crew.pk not in page


@pytest.mark.parametrize("name", ["bob", "vera"])
def test_who_only_looks_sees_no_verbs(browse: Browse, name: str):
    page = getattr(browse, name).get("/w/acme/").content.decode()
    assert "New crew" not in page
    assert "/provision" not in page


def test_queries_do_not_grow_with_the_crews(
    cast: Cast, browse: Browse, make_job: JobMaker, django_assert_max_num_queries
):
    for number in range(60):
        make_job(make_crew(cast.workspace, f"crew-{number}"), JobState.COMPLETED)
    browse.vera.get("/w/acme/")
    with django_assert_max_num_queries(16):
        browse.vera.get("/w/acme/")
