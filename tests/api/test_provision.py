"""POST provision and rebuild when nothing stands against them."""

from __future__ import annotations

from typing import Any

import pytest

from cache.models import CachedImage
from crewship.crews.models import Crew
from provisioning.models import ProvisionJob, ProvisionStart
from provisioning.states import JobState
from tests.cast import Cast
from tests.conftest import Api, ImageMaker, JobMaker
from tests.problem import problem

pytestmark = pytest.mark.usefixtures("host")
STARTED = {
    "status": "started",
    "message": ("Provisioning started. Monitor with 'crewship crew provision status backend'."),
}


@pytest.fixture
def post(api: Api, cast: Cast, django_capture_on_commit_callbacks: Any) -> Any:
    def send(verb: str) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return api.mona.post(f"/crews/{cast.crew.pk}/{verb}")

    return send


@pytest.mark.parametrize("verb", ["provision", "rebuild"])
def test_a_start_is_accepted_and_a_worker_called(
    verb: str, post: Any, cast: Cast, knocks: list[str]
) -> None:
    answer = post(verb)
    assert (answer.status_code, answer.json()) == (202, STARTED)
    job = ProvisionJob.objects.get()
    assert (job.state, job.rebuild, job.crew) == (JobState.PENDING, verb == "rebuild", cast.crew)
    assert job.requested_by == cast.mona.user
    assert knocks == [job.pk]


def test_a_hit_completes_within_the_request(
    post: Any, api: Api, cast: Cast, make_image: ImageMaker, knocks: list[str]
) -> None:
    image = make_image(cast.crew.config_hash or "")
    answer = post("provision")
    assert (answer.status_code, answer.json()) == (202, STARTED)
    body = api.vera.get(f"/crews/{cast.crew.pk}/provision").json()
    assert (body["status"], body["cached_image"]) == ("completed", image.tag)
    assert knocks == []


def test_an_accepted_rebuild_clears_the_marker(post: Any, cast: Cast, cached: CachedImage) -> None:
    post("rebuild")
    assert Crew.objects.get(pk=cast.crew.pk).cached_image is None


def test_the_second_caller_is_told_to_back_off(post: Any, knocks: list[str]) -> None:
    post("provision")
    assert problem(post("provision"), 409, "job_active")["job_status"] == "pending"
    assert problem(post("rebuild"), 409, "job_active")["job_status"] == "pending"
    assert (ProvisionJob.objects.count(), len(knocks)) == (1, 1)
    assert ProvisionStart.objects.count() == 1


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_ended_is_in_nobodys_way(
    state: JobState, post: Any, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew, state)
    assert post("provision").status_code == 202


def test_a_body_is_not_read(api: Api, cast: Cast) -> None:
    answer = api.mona.post(f"/crews/{cast.crew.pk}/provision", {"anything": [1]})
    assert answer.status_code == 202


def test_a_crew_with_mise_only_can_be_provisioned(api: Api) -> None:
    crew = api.mona.post(
        "/crews", {"name": "M", "slug": "mise", "mise_config": '{"tools": {"node": ""}}'}
    ).json()
    assert api.mona.post(f"/crews/{crew['id']}/provision").status_code == 202


def test_a_config_that_became_illegal_is_400_with_its_places(api: Api, cast: Cast) -> None:
    Crew.objects.filter(pk=cast.crew.pk).update(devcontainer_config='{"privileged": true}')
    body = problem(api.mona.post(f"/crews/{cast.crew.pk}/provision"), 400, "config_invalid")
    assert [error["path"] for error in body["errors"]] == ["privileged"]


def test_a_tag_of_another_hash_is_a_collision(api: Api, cast: Cast, make_image: ImageMaker) -> None:
    other = (cast.crew.config_hash or "")[:12] + "0" * 52
    make_image(other)
    answer = api.mona.post(f"/crews/{cast.crew.pk}/provision")
    problem(answer, 409, "tag_collision")
    assert not ProvisionJob.objects.exists()
    assert not ProvisionStart.objects.exists()
