"""GET /crews/{id}/lock: the devcontainer-lock.json of what a crew's features resolved to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cache.models import HostImage
from provisioning.states import JobState
from tests.cast import Cast
from tests.conftest import Api, ImageMaker, JobMaker
from tests.problem import problem

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"


def feature(digest: str) -> dict[str, Any]:
    name = "ghcr.io/devcontainers/features/node"
    return {"ref": f"{name}:1", "resolved": f"{name}@{digest}", "version": "1.6.3"}


def lock_of(api: Api, cast: Cast) -> Any:
    return api.vera.get(f"/crews/{cast.crew.pk}/lock")


def integrity(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    [entry] = json.loads(answer.content)["features"].values()
    return str(entry["integrity"])


def link(cast: Cast, make_image: ImageMaker, **fields: Any) -> None:
    image = make_image(cast.crew.config_hash or "", **fields)
    cast.crew.cached_image = image.tag
    cast.crew.save()


def test_the_image_says_what_it_was_made_of(api: Api, cast: Cast, make_image: ImageMaker) -> None:
    link(cast, make_image, provenance={"features": [feature(DIGEST)]})
    answer = lock_of(api, cast)
    assert answer["Content-Type"] == "application/json"
    assert "devcontainer-lock.json" in answer["Content-Disposition"]
    assert json.loads(answer.content) == {
        "features": {
            "ghcr.io/devcontainers/features/node:1": {
                "version": "1.6.3",
                "resolved": f"ghcr.io/devcontainers/features/node@{DIGEST}",
                "integrity": DIGEST,
            }
        }
    }


def test_an_export_can_be_given_back(api: Api, cast: Cast, make_image: ImageMaker) -> None:
    link(cast, make_image, provenance={"features": [feature(DIGEST)]})
    text = lock_of(api, cast).content.decode()
    answer = api.mona.patch(f"/crews/{cast.crew.pk}", {"lock_config": text})
    assert answer.status_code == 200


def test_an_image_without_features_has_an_empty_lock(
    api: Api, cast: Cast, make_image: ImageMaker
) -> None:
    link(cast, make_image, provenance={"features": []})
    assert json.loads(lock_of(api, cast).content) == {"features": {}}


def test_without_an_image_the_last_job_of_the_config_says_it(
    api: Api, cast: Cast, make_job: JobMaker
) -> None:
    for digest in (OTHER, DIGEST):
        make_job(cast.crew, JobState.COMPLETED, resolved_features=[feature(digest)])
    assert integrity(lock_of(api, cast)) == DIGEST


def test_an_image_that_is_gone_from_the_host_does_not_count(
    api: Api, cast: Cast, make_image: ImageMaker, make_job: JobMaker
) -> None:
    link(cast, make_image, provenance={"features": [feature(OTHER)]})
    HostImage.objects.all().delete()
    make_job(cast.crew, JobState.COMPLETED, resolved_features=[feature(DIGEST)])
    assert integrity(lock_of(api, cast)) == DIGEST


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        (JobState.FAILED, {}),
        (JobState.RUNNING, {}),
        (JobState.COMPLETED, {"config_hash": "c" * 64}),
    ],
)
def test_what_another_config_or_no_finished_job_resolved_is_not_found(
    api: Api, cast: Cast, make_job: JobMaker, state: JobState, fields: dict[str, str]
) -> None:
    make_job(cast.crew, state, resolved_features=[feature(DIGEST)], **fields)
    problem(lock_of(api, cast), 404, "nothing_resolved")


def test_a_crew_that_was_never_provisioned_has_none(api: Api, cast: Cast) -> None:
    problem(lock_of(api, cast), 404, "nothing_resolved")


def test_strangers_find_no_crew(api: Api, cast: Cast) -> None:
    problem(api.nobody.get(f"/crews/{cast.crew.pk}/lock"), 401)
    problem(api.mona.get("/crews/crw_elsewhere/lock"), 404, "crew_not_found")
