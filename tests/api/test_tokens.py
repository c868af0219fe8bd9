"""Tokens: everybody's own, shown once, never stronger than what made them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from crewship.domain.roles import Role
from crewship.workspaces.models import ApiToken, Membership
from crewship.workspaces.tokens import make_token, revoke_token
from tests.cast import Cast
from tests.conftest import Api, Client
from tests.problem import problem

WORKERS = ("alice", "adam", "mona", "bob", "vera")


def made(client: Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/tokens", {"name": "laptop", **body}, format="json")
    assert answer.status_code == 201, answer.content
    token: dict[str, Any] = answer.json()
    return token


def days_left(token: dict[str, Any]) -> float:
    expires_at = parse_datetime(token["expires_at"])
    assert expires_at is not None
    return (expires_at - timezone.now()) / timedelta(days=1)


@pytest.mark.parametrize("person", WORKERS)
def test_everybody_makes_and_revokes_his_own(person: str, api: Api) -> None:
    client = getattr(api, person)
    token = made(client)
    assert api.by(token["token"]).get("/crews").status_code == 200
    assert client.delete(f"/tokens/{token['id']}").status_code == 204
    problem(api.by(token["token"]).get("/crews"), 401, "not_authenticated")
    problem(client.delete(f"/tokens/{token['id']}"), 404, "token_not_found")


def test_a_secret_is_shown_once(api: Api, cast: Cast) -> None:
    token = made(api.bob)
    listed = api.bob.get("/tokens")
    assert token["token"] not in listed.content.decode()
    assert set(listed.json()["results"][0]) == set(token) - {"token"}
    assert ApiToken.objects.get(pk=token["id"]).digest not in listed.content.decode()


def test_only_ones_own_live_tokens_are_listed(api: Api, cast: Cast) -> None:
    gone, _ = make_token(user=cast.bob.user, name="gone")
    revoke_token(gone)
    elsewhere, _ = make_token(
        user=cast.bob.user, name="elsewhere", workspace=cast.strange_workspace
    )
    body = api.bob.get("/tokens").json()
    assert set(body) == {"results", "next", "previous"}
    assert [token["id"] for token in body["results"]] == [cast.bob.token.pk]
    problem(api.bob.delete(f"/tokens/{elsewhere.pk}"), 404, "token_not_found")


@pytest.mark.parametrize("person", ["alice", "mallory"])
def test_anothers_token_is_404(person: str, api: Api, cast: Cast) -> None:
    problem(getattr(api, person).delete(f"/tokens/{cast.bob.token.pk}"), 404, "token_not_found")
    assert api.bob.get("/crews").status_code == 200


def test_a_token_is_bound_to_the_workspace_unless_told(api: Api, cast: Cast) -> None:
    assert made(api.bob)["workspace_id"] == cast.workspace.pk
    assert made(api.bob, bound=False)["workspace_id"] is None


def test_a_token_lives_90_days_unless_told(api: Api) -> None:
    _, long = make_token(
        user=ApiToken.objects.get(name="bob's").user, name="year", lifetime=timedelta(days=300)
    )
    assert 89 < days_left(made(api.by(long))) <= 90
    assert 6 < days_left(made(api.by(long), days=7)) <= 7


def test_a_browser_session_makes_tokens(cast: Cast, client: Browser) -> None:
    client.force_login(cast.bob.user)
    answer = client.post("/api/v1/tokens", {"name": "x"}, content_type="application/json")
    assert answer.status_code == 201


@pytest.mark.parametrize("role", ["OWNER", "ADMIN", "MANAGER"])
def test_a_token_is_not_stronger_than_its_user(role: str, api: Api) -> None:
    answer = api.bob.post("/tokens", {"name": "x", "role": role})
    problem(answer, 403, "forbidden")
    assert ApiToken.objects.filter(name="x").count() == 0


def test_a_token_is_not_stronger_than_its_user_later(api: Api, cast: Cast) -> None:
    strong = api.by(made(api.alice, role="ADMIN")["token"])
    Membership.objects.filter(pk=cast.alice.membership.pk).update(role=Role.VIEWER)
    problem(strong.get("/members"), 403, "forbidden")


def test_a_token_makes_no_stronger_one(api: Api, cast: Cast) -> None:
    _, weak = make_token(user=cast.alice.user, name="weak", role=Role.MEMBER)
    problem(api.by(weak).post("/tokens", {"name": "x", "role": "ADMIN"}), 403, "forbidden")
    problem(api.by(weak).post("/tokens", {"name": "x", "days": 91}), 403, "forbidden")
    assert made(api.by(weak))["role"] == "MEMBER"
    assert made(api.by(weak), role=None)["role"] == "MEMBER"


def test_a_bound_token_makes_no_wider_one(api: Api, cast: Cast) -> None:
    _, bound = make_token(user=cast.alice.user, name="bound", workspace=cast.workspace)
    problem(api.by(bound).post("/tokens", {"name": "x", "bound": False}), 403, "forbidden")
    assert made(api.by(bound))["workspace_id"] == cast.workspace.pk


def test_a_token_makes_none_that_outlives_it(api: Api, cast: Cast) -> None:
    _, short = make_token(user=cast.bob.user, name="short", lifetime=timedelta(days=2))
    assert days_left(made(api.by(short))) <= 2
    problem(api.by(short).post("/tokens", {"name": "x", "days": 3}), 403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\0b"},
        {"name": "x", "role": "KING"},
        {"name": "x", "days": 0},
        {"name": "x", "days": 366},
        {"name": "x", "bound": "maybe"},
    ],
)
def test_a_bad_body_is_400(body: dict[str, Any], api: Api) -> None:
    problem(api.vera.post("/tokens", body), 400, "invalid")


def test_a_malformed_id_is_400(api: Api) -> None:
    problem(api.vera.delete("/tokens/7"), 400, "invalid_id")


def test_the_list_is_paged(api: Api, cast: Cast) -> None:
    made(api.bob)
    first = api.bob.get("/tokens?page_size=1").json()
    assert (len(first["results"]), first["next"] is not None) == (1, True)
