"""Who may use which route: all five roles, a stranger and nobody, route by route."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cache.models import CachedImage
from crewship.api.urls import urlpatterns
from crewship.crews.models import Agent
from crewship.workspaces.models import User
from provisioning.states import JobState
from tests.cast import PEOPLE, Cast
from tests.conftest import Api, ImageMaker, JobMaker
from tests.problem import problem

READERS = {"alice", "adam", "mona", "bob", "vera"}
MEMBERS = {"alice", "adam", "mona", "bob"}
MANAGERS = {"alice", "adam", "mona"}
ADMINS = {"alice", "adam"}

# method, path, body, who may, what they are answered
ROUTES: list[tuple[str, str, dict[str, Any] | None, set[str], int]] = [
    ("get", "/me", None, READERS | {"mallory"}, 200),
    ("get", "/workspaces", None, READERS | {"mallory"}, 200),
    ("get", "/members", None, ADMINS | {"mallory"}, 200),
    ("post", "/members", {"email": "zoe@example.com"}, ADMINS | {"mallory"}, 201),
    ("patch", "/members/{member}", {"role": "VIEWER"}, ADMINS, 200),
    ("delete", "/members/{member}", None, ADMINS, 204),
    ("get", "/audit", None, ADMINS | {"mallory"}, 200),
    ("get", "/tokens", None, READERS | {"mallory"}, 200),
    ("post", "/tokens", {"name": "laptop"}, READERS | {"mallory"}, 201),
    ("get", "/crews", None, READERS | {"mallory"}, 200),
    ("get", "/crews/{crew}", None, READERS, 200),
    ("patch", "/crews/{crew}", {"name": "Other"}, MANAGERS, 200),
    ("delete", "/crews/{crew}", None, ADMINS, 204),
    ("get", "/crews/{crew}/provision", None, READERS, 200),
    ("post", "/crews/{crew}/provision", None, MANAGERS, 202),
    ("post", "/crews/{crew}/rebuild", None, MANAGERS, 202),
    ("post", "/crews/{crew}/refresh-image", None, MANAGERS, 202),
    ("get", "/crews/{crew}/image-status", None, READERS, 200),
    ("post", "/crews/{crew}/provision/cancel", None, MANAGERS, 200),
    ("post", "/crews/{crew}/restart-agents", None, MANAGERS, 200),
    ("get", "/crews/{crew}/agents", None, READERS, 200),
    ("post", "/crews/{crew}/agents", {"name": "new", "command": "true"}, MANAGERS, 201),
    ("get", "/crews/{crew}/agents/{agent}", None, READERS, 200),
    ("patch", "/crews/{crew}/agents/{agent}", {"command": "false"}, MANAGERS, 200),
    ("delete", "/crews/{crew}/agents/{agent}", None, ADMINS, 204),
    ("post", "/crews/{crew}/agents/{agent}/start", None, MANAGERS, 202),
    ("post", "/crews/{crew}/agents/{agent}/stop", None, MANAGERS, 202),
    ("get", "/crews/{crew}/agents/{agent}/logs", None, MEMBERS, 200),
    ("get", "/crews/{crew}/provision/events", None, READERS, 200),
    ("post", "/crews/{crew}/plan", None, MEMBERS, 200),
    ("post", "/plan", {"runtime_image": "debian:sid"}, MEMBERS | {"mallory"}, 200),
    ("get", "/crews/{crew}/export", None, READERS, 200),
    ("get", "/events", None, READERS | {"mallory"}, 200),
    ("get", "/crews/{crew}/jobs", None, READERS, 200),
    ("get", "/crews/{crew}/lock", None, READERS, 200),
    ("get", "/jobs/{job}", None, READERS, 200),
    ("get", "/jobs/{job}/log", None, READERS, 200),
    ("get", "/features/catalog", None, READERS | {"mallory"}, 200),
    ("get", "/features/catalog/{feature}", None, READERS | {"mallory"}, 200),
    ("get", "/runtimes/catalog", None, READERS | {"mallory"}, 200),
    ("get", "/cache/images", None, READERS | {"mallory"}, 200),
]
CASES = [(*route, person) for route in ROUTES for person in (*PEOPLE, "nobody")]


@pytest.fixture
def places(cast: Cast, make_job: JobMaker) -> dict[str, str]:
    job = make_job(cast.crew, JobState.COMPLETED)
    User.objects.create_user("zoe@example.com")
    return {
        "crew": cast.crew.pk,
        "agent": Agent.objects.create(crew=cast.crew, name="writer", command="true").pk,
        "job": job.pk,
        "member": cast.bob.membership.pk,
        "feature": "ghcr.io/devcontainers/features/node:1",
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "allowed", "status", "person"),
    CASES,
    ids=[f"{case[0]}-{case[1]}-{case[5]}" for case in CASES],
)
def test_a_route_answers_whom_it_is_for(
    method: str,
    path: str,
    body: dict[str, Any] | None,
    allowed: set[str],
    status: int,
    person: str,
    api: Api,
    places: dict[str, str],
) -> None:
    client = getattr(api, person)
    answer = getattr(client, method)(path.format(**places), body)
    if person in allowed:
        assert answer.status_code == status, answer.content
    elif person == "nobody":
        problem(answer, 401, "not_authenticated")
    elif person == "mallory":
        problem(answer, 404)
    else:
        problem(answer, 403, "forbidden")


@pytest.mark.parametrize("person", PEOPLE)
def test_crews_are_made_by_managers_in_their_own_workspace(person: str, api: Api) -> None:
    made = getattr(api, person).post("/crews", {"name": "New", "slug": "new"})
    files = {"devcontainer.json": "{}"}
    taken_in = getattr(api, person).post("/crews/import", {"slug": "files", "files": files})
    expected = 201 if person in MANAGERS | {"mallory"} else 403
    assert (made.status_code, taken_in.status_code) == (expected, expected)


@pytest.mark.parametrize("person", ["mona", "bob", "vera"])
def test_images_are_deleted_by_admins_only(person: str, api: Api, make_image: ImageMaker) -> None:
    image = make_image("ab" * 32)
    problem(getattr(api, person).delete(f"/cache/images/{image.tag}"), 403, "forbidden")
    assert CachedImage.objects.get().deleting_at is None


@pytest.mark.parametrize("person", PEOPLE)
def test_a_token_is_revoked_by_its_user_only(person: str, api: Api, cast: Cast) -> None:
    client = getattr(api, person)
    others = cast.bob if person != "bob" else cast.vera
    problem(client.delete(f"/tokens/{others.token.pk}"), 404)
    assert client.delete(f"/tokens/{cast.person(person).token.pk}").status_code == 204


def test_a_404_of_a_foreign_crew_is_that_of_no_crew(api: Api, cast: Cast) -> None:
    foreign = problem(api.mallory.get(f"/crews/{cast.crew.pk}"), 404)
    absent = problem(api.mallory.get("/crews/crw_01ARZ3NDEKTSV4RRFFQ69G5FAV"), 404)
    del foreign["instance"], absent["instance"]
    assert foreign == absent


def test_a_foreign_job_is_404(api: Api, places: dict[str, str]) -> None:
    problem(api.mallory.get(f"/jobs/{places['job']}"), 404)
    problem(api.mallory.get(f"/jobs/{places['job']}/log"), 404)


TABLE_HAS = {re.sub(r"\{\w+\}", "*", path) for _, path, *_ in ROUTES} | {
    "/cache/images/*",
    "/crews/import",
    "/tokens/*",
}
ELSEWHERE = {"/schema", "/docs"}  # tests/api/test_schema.py


def test_every_route_is_in_the_table() -> None:
    shapes = {
        "/" + re.sub(r"<\w+:\w+>", "*", str(pattern.pattern))
        for pattern in urlpatterns
        if "^" not in str(pattern.pattern)
    }
    assert shapes - TABLE_HAS - ELSEWHERE == set()
