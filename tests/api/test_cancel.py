from __future__ import annotations

from typing import Any

import pytest

from provisioning.models import ProvisionJob
from provisioning.states import JobState
from tests.cast import Cast, make_crew
from tests.conftest import Api, ImageMaker, JobMaker
from tests.problem import problem


@pytest.fixture
def cancel(api: Api, cast: Cast, django_capture_on_commit_callbacks: Any) -> Any:
    def send() -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return api.mona.post(f"/crews/{cast.crew.pk}/provision/cancel")

    return send


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RUNNING])
def test_the_active_job_is_cancelled(
    state: JobState, cancel: Any, cast: Cast, make_job: JobMaker, api: Api
) -> None:
    job = make_job(cast.crew, state)
    answer = cancel()
    assert answer.status_code == 200
    assert answer.json() == {"cancelled": True, "job_id": job.pk, "status": "idle"}
    assert ProvisionJob.objects.get().state == JobState.CANCELLED
    assert api.vera.get(f"/jobs/{job.pk}").json()["state"] == "cancelled"


def test_cancelling_twice_is_no_error(cancel: Any, cast: Cast, make_job: JobMaker) -> None:
    make_job(cast.crew)
    cancel()
    assert cancel().json() == {"cancelled": False, "job_id": None, "status": "idle"}


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_ended_stays_as_it_is(
    state: JobState, cancel: Any, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew, state)
    assert cancel().json()["cancelled"] is False
    assert ProvisionJob.objects.get().state == state


def test_followers_go_on(cancel: Any, cast: Cast, make_job: JobMaker, knocks: list[str]) -> None:
    leader = make_job(cast.crew, JobState.RUNNING)
    crews = [make_crew(cast.workspace, slug) for slug in ("one", "two", "three")]
    first, second, third = (make_job(crew, leader=leader) for crew in crews)
    cancel()
    for job in (first, second, third):
        job.refresh_from_db()
        assert job.state == JobState.PENDING
    assert (first.leader_id, second.leader_id, third.leader_id) == (None, first.pk, first.pk)
    assert knocks == [first.pk]


def test_followers_take_an_image_that_is_there(
    cancel: Any, cast: Cast, make_job: JobMaker, make_image: ImageMaker, knocks: list[str]
) -> None:
    leader = make_job(cast.crew, JobState.RUNNING, rebuild=True)
    other = make_crew(cast.workspace, "one")
    follower = make_job(other, leader=leader)
    image = make_image(other.config_hash or "")
    cancel()
    follower.refresh_from_db()
    other.refresh_from_db()
    assert (follower.state, other.cached_image) == (JobState.COMPLETED, image.tag)
    assert knocks == []


def test_a_cancelled_follower_leaves_its_leader_alone(
    cancel: Any, cast: Cast, make_job: JobMaker
) -> None:
    leader = make_job(make_crew(cast.workspace, "one"), JobState.RUNNING)
    make_job(cast.crew, leader=leader)
    cancel()
    leader.refresh_from_db()
    assert leader.state == JobState.RUNNING


def test_it_needs_no_host(api: Api, cast: Cast) -> None:
    assert api.mona.post(f"/crews/{cast.crew.pk}/provision/cancel").status_code == 200


@pytest.mark.parametrize(("person", "status"), [("bob", 403), ("mallory", 404), ("nobody", 401)])
def test_a_refused_cancel_cancels_nothing(
    person: str, status: int, api: Api, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew, JobState.RUNNING)
    problem(getattr(api, person).post(f"/crews/{cast.crew.pk}/provision/cancel"), status)
    assert ProvisionJob.objects.get().state == JobState.RUNNING
