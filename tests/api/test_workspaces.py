"""The caller's workspaces: GET /workspaces."""

from __future__ import annotations

from typing import Any

from crewship.domain.roles import Role
from crewship.workspaces.models import Membership, Workspace
from crewship.workspaces.tokens import make_token
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem


def test_only_ones_own_workspaces_are_listed(api: Api, cast: Cast) -> None:
    answer = api.mallory.get("/workspaces")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"results", "next", "previous"}
    assert [(w["id"], w["slug"], w["name"], w["role"]) for w in body["results"]] == [
        (cast.strange_workspace.pk, "evil", "Evil", "OWNER")
    ]


def test_the_list_needs_no_workspace(api: Api, cast: Cast) -> None:
    Membership.objects.create(workspace=cast.strange_workspace, user=cast.bob.user)
    assert [w["slug"] for w in api.bob.get("/workspaces").json()["results"]] == ["evil", "acme"]


def test_who_is_in_none_gets_an_empty_list(api: Api, cast: Cast) -> None:
    Membership.objects.all().delete()
    assert api.bob.get("/workspaces").json()["results"] == []


def test_a_bound_token_sees_its_workspace_only(api: Api, cast: Cast) -> None:
    Membership.objects.create(workspace=cast.strange_workspace, user=cast.bob.user)
    _, secret = make_token(
        user=cast.bob.user, name="b", workspace=cast.strange_workspace, role=Role.VIEWER
    )
    seen = api.by(secret).get("/workspaces").json()["results"]
    assert [(w["slug"], w["role"]) for w in seen] == [("evil", "VIEWER")]


def test_the_list_is_paged_with_one_query_a_page(
    api: Api, cast: Cast, django_assert_num_queries: Any
) -> None:
    for number in range(3):
        made = Workspace.objects.create(slug=f"ws-{number}", name="x")
        Membership.objects.create(workspace=made, user=cast.bob.user)
    with django_assert_num_queries(3):  # the token, its use noted, the page
        body = api.bob.get("/workspaces?page_size=2").json()
    assert len(body["results"]) == 2
    assert body["next"] is not None


def test_nobody_is_refused(api: Api) -> None:
    problem(api.nobody.get("/workspaces"), 401, "not_authenticated")
