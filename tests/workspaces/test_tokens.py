from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from crewship.domain.errors import Forbidden
from crewship.domain.roles import Role
from crewship.workspaces.models import ApiToken, User
from crewship.workspaces.tokens import find_token, make_token, revoke_token
from tests.cast import Cast
from tests.conftest import Api, Client
from tests.problem import problem


def refused(client: Client) -> None:
    answer = client.get("/crews")
    problem(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_token_opens_the_api(api: Api) -> None:
    assert api.vera.get("/crews").status_code == 200


def test_only_the_digest_is_stored(cast: Cast) -> None:
    token, secret = make_token(user=cast.bob.user, name="n")
    assert secret.startswith("crs_")
    assert len(secret) >= 47  # 256 random bits
    assert ApiToken.objects.get(pk=token.pk).digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(ApiToken.objects.filter(pk=token.pk).values())


def test_it_expires_after_90_days_unless_told(cast: Cast) -> None:
    token, _ = make_token(user=cast.bob.user, name="n")
    assert timedelta(days=89) < token.expires_at - timezone.now() <= timedelta(days=90)


def test_an_expired_token_is_refused(api: Api) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=90, seconds=1)):
        refused(api.alice)


def test_a_revoked_token_is_refused_at_once(api: Api, cast: Cast) -> None:
    revoke_token(cast.alice.token)
    revoke_token(cast.alice.token)
    refused(api.alice)


def test_an_inactive_users_token_is_refused(api: Api, cast: Cast) -> None:
    User.objects.filter(pk=cast.alice.user.pk).update(is_active=False)
    refused(api.alice)


@pytest.mark.parametrize("header", ["Bearer", "Bearer crs_x y", "Bearer crs_nope", "bearer ä"])
def test_a_bad_header_is_401(header: str, db: None) -> None:
    client = Client("")
    client.credentials(HTTP_AUTHORIZATION=header.encode("utf-8").decode("latin-1"))
    refused(client)


@pytest.mark.parametrize("header", ["Basic YTpi", "Token crs_x"])
def test_another_scheme_is_401(header: str, db: None) -> None:
    client = Client("")
    client.credentials(HTTP_AUTHORIZATION=header)
    refused(client)


def test_a_token_in_the_url_counts_for_nothing(api: Api, cast: Cast) -> None:
    secret = cast.alice.secret
    problem(api.nobody.get(f"/crews?token={secret}&access_token={secret}"), 401)


def test_a_use_is_noted_once_a_minute(cast: Cast) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        find_token(cast.bob.secret)
    with time_machine.travel(now + timedelta(seconds=59), tick=False):
        find_token(cast.bob.secret)
    assert ApiToken.objects.get(pk=cast.bob.token.pk).last_used_at == now
    with time_machine.travel(now + timedelta(seconds=61), tick=False):
        find_token(cast.bob.secret)
    assert ApiToken.objects.get(pk=cast.bob.token.pk).last_used_at == now + timedelta(seconds=61)


def test_a_bound_token_makes_tokens_for_its_workspace_only(cast: Cast) -> None:
    user = cast.alice.user
    maker, _ = make_token(user=user, name="m", workspace=cast.workspace)
    for workspace in (None, cast.strange_workspace):
        with pytest.raises(Forbidden):
            make_token(
                user=user,
                name="x",
                workspace=workspace,
                made_with=maker,
                lifetime=timedelta(days=1),
            )
    made, _ = make_token(
        user=user,
        name="x",
        workspace=cast.workspace,
        made_with=maker,
        lifetime=timedelta(days=1),
    )
    assert made.workspace == cast.workspace


@pytest.mark.parametrize("role", [None, Role.OWNER, Role.MANAGER])
def test_a_token_makes_no_stronger_one(role: Role | None, cast: Cast) -> None:
    maker, _ = make_token(user=cast.alice.user, name="m", role=Role.MEMBER)
    with pytest.raises(Forbidden):
        make_token(
            user=cast.alice.user,
            name="x",
            role=role,
            made_with=maker,
            lifetime=timedelta(days=1),
        )


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_a_token_makes_an_equal_or_weaker_one(role: Role, cast: Cast) -> None:
    maker, _ = make_token(user=cast.alice.user, name="m", role=Role.MEMBER)
    made, _ = make_token(
        user=cast.alice.user, name="x", role=role, made_with=maker, lifetime=timedelta(days=1)
    )
    assert made.role == role


def test_a_token_makes_none_that_outlives_it(cast: Cast) -> None:
    maker, _ = make_token(user=cast.alice.user, name="m", lifetime=timedelta(days=1))
    with pytest.raises(Forbidden):
        make_token(user=cast.alice.user, name="x", made_with=maker, lifetime=timedelta(days=2))
