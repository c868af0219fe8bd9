"""Who the caller is: GET /me."""

from __future__ import annotations

from django.test import Client as Browser

from crewship.domain.roles import Role
from crewship.workspaces.models import Membership
from crewship.workspaces.tokens import make_token
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem


def test_me_names_the_caller_the_token_and_the_workspaces(api: Api, cast: Cast) -> None:
    me = api.vera.get("/me").json()
    assert me["email"] == "vera@example.com"
    assert me["token"]["id"] == cast.vera.token.pk
    assert [(w["id"], w["slug"], w["role"]) for w in me["workspaces"]] == [
        (cast.workspace.pk, "acme", "VIEWER")
    ]


def test_me_needs_no_workspace(api: Api, cast: Cast) -> None:
    Membership.objects.all().delete()
    answer = api.vera.get("/me?workspace_id=nowhere")
    assert (answer.status_code, answer.json()["workspaces"]) == (200, [])


def test_me_shows_no_secret(api: Api, cast: Cast) -> None:
    body = api.vera.get("/me").content.decode()
    assert cast.vera.secret not in body
    assert cast.vera.token.digest not in body


def test_me_shows_the_role_that_the_token_leaves(api: Api, cast: Cast) -> None:
    _, secret = make_token(user=cast.alice.user, name="weak", role=Role.MEMBER)
    me = api.by(secret).get("/me").json()
    assert (me["token"]["role"], me["workspaces"][0]["role"]) == ("MEMBER", "MEMBER")


def test_me_shows_a_bound_token_its_workspace_only(api: Api, cast: Cast) -> None:
    Membership.objects.create(workspace=cast.strange_workspace, user=cast.alice.user)
    _, secret = make_token(user=cast.alice.user, name="bound", workspace=cast.workspace)
    assert [w["slug"] for w in api.by(secret).get("/me").json()["workspaces"]] == ["acme"]


def test_a_session_has_no_token(cast: Cast, client: Browser) -> None:
    client.force_login(cast.bob.user)
    assert client.get("/api/v1/me").json()["token"] is None


def test_nobody_is_refused(api: Api) -> None:
    problem(api.nobody.get("/me"), 401, "not_authenticated")
