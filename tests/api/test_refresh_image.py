"""POST /crews/{id}/refresh-image: build first, restart second; a failure changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cache.models import CachedImage
from crewship.crews.models import Agent, AgentStatus, Crew
from crewship.crews.services import update_crew
from crewship.domain.errors import BuildStepFailed
from provisioning.finish import complete, fail
from provisioning.models import ProvisionJob
from provisioning.services import cancel_provision
from provisioning.states import JobState
from provisioning.transitions import advance
from tests.cast import Cast
from tests.conftest import Api, image_id_of
from tests.problem import problem
from tests.provisioning.test_finish import built_for
from tests.rows import all_rows


@pytest.fixture
def agents(cast: Cast, cached: CachedImage) -> list[Agent]:
    """One that runs, and one that was stopped on purpose."""
    live: dict[str, Any] = {"live_image_id": cached.image_id, "asked": 1, "done": 1}
    return [
        Agent.objects.create(
            crew=cast.crew, name="on", wants_running=True, status=AgentStatus.RUNNING, **live
        ),
        Agent.objects.create(crew=cast.crew, name="off"),
    ]


def refresh(api: Api, cast: Cast) -> ProvisionJob:
    answer = api.mona.post(f"/crews/{cast.crew.pk}/refresh-image")
    assert (answer.status_code, answer.json()["status"]) == (202, "started")
    return ProvisionJob.objects.latest("created_at")


def claimed(job: ProvisionJob) -> ProvisionJob:
    return advance(job, JobState.RUNNING, fence=1)


def marker(cast: Cast) -> str | None:
    return Crew.objects.get(pk=cast.crew.pk).cached_image


def asked() -> list[int]:
    return list(Agent.objects.order_by("pk").values_list("asked", flat=True))


def test_it_builds_afresh_with_the_marker_in_place(
    api: Api, cast: Cast, agents: list[Agent], cached: CachedImage
):
    job = refresh(api, cast)
    assert (job.rebuild, job.refresh, job.state) == (True, True, JobState.PENDING)
    assert marker(cast) == cached.tag
    assert asked() == [1, 0]


def test_when_the_image_is_there_agents_that_are_meant_to_run_are_restarted(
    api: Api, cast: Cast, agents: list[Agent], cached: CachedImage
):
    complete(claimed(job := refresh(api, cast)), built_for(job))
    agents[0].refresh_from_db()
    assert asked() == [2, 0]
    assert (agents[0].status, agents[0].host_name) == ("starting", "local")
    assert CachedImage.objects.get(tag=marker(cast)).image_id == image_id_of("new")


def test_a_rebuild_restarts_nobody(api: Api, cast: Cast, agents: list[Agent], cached: CachedImage):
    api.mona.post(f"/crews/{cast.crew.pk}/rebuild")
    complete(claimed(job := ProvisionJob.objects.get()), built_for(job))
    assert asked() == [1, 0]


def test_a_failure_changes_nothing(api: Api, cast: Cast, agents: list[Agent], cached: CachedImage):
    before = all_rows()
    fail(claimed(refresh(api, cast)), BuildStepFailed("exit code 1"))
    after = all_rows()
    for model in ("crews.Crew", "crews.Agent", "cache.CachedImage", "cache.HostImage"):
        assert after[model] == before[model]
    status = api.vera.get(f"/crews/{cast.crew.pk}/provision").json()
    assert (status["status"], status["cached_image"]) == ("failed", cached.tag)


def test_a_cancelled_one_changes_nothing(
    api: Api, cast: Cast, agents: list[Agent], cached: CachedImage
):
    refresh(api, cast)
    cancel_provision(cast.crew)
    assert (marker(cast), asked()) == (cached.tag, [1, 0])


def test_a_crew_whose_config_changed_meanwhile_is_not_restarted(
    api: Api, cast: Cast, agents: list[Agent], cached: CachedImage
):
    job = claimed(refresh(api, cast))
    update_crew(cast.crew, {"devcontainer_config": '{"image": "debian:sid"}'})
    complete(job, built_for(job))
    assert (marker(cast), asked()) == (None, [1, 0])


def test_a_crew_without_an_image_gets_one(api: Api, cast: Cast, host: Any):
    complete(claimed(job := refresh(api, cast)), built_for(job))
    assert marker(cast) == built_for(job).tag


def test_the_job_says_what_it_is(api: Api, cast: Cast, cached: CachedImage):
    job = refresh(api, cast)
    assert api.vera.get(f"/jobs/{job.pk}").json()["refresh"] is True


def test_beside_another_job_it_is_409(api: Api, cast: Cast, cached: CachedImage):
    refresh(api, cast)
    problem(api.mona.post(f"/crews/{cast.crew.pk}/refresh-image"), 409, "job_active")
