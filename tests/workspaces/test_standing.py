"""Whether a caller still may: what ends an event stream."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from crewship.domain.roles import Action, Role
from crewship.workspaces.models import ApiToken, Membership
from crewship.workspaces.standing import Standing
from tests.cast import Cast


@pytest.fixture
def standing(cast: Cast) -> Standing:
    bob = cast.bob
    return Standing(bob.user.pk, cast.workspace.pk, Action.READ, token_id=bob.token.pk)


@pytest.fixture
def session(cast: Cast, client: Browser) -> Standing:
    client.force_login(cast.bob.user)
    key = client.session.session_key or ""
    return Standing(cast.bob.user.pk, cast.workspace.pk, Action.READ, session_key=key)


def test_a_member_with_a_live_token_stands(standing: Standing) -> None:
    assert standing()


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
    ],
)
def test_a_token_that_is_good_no_more_does_not(
    standing: Standing, cast: Cast, change: dict[str, object]
) -> None:
    ApiToken.objects.filter(pk=cast.bob.token.pk).update(**change)
    assert not standing()


def test_neither_does_who_is_no_member_or_inactive(standing: Standing, cast: Cast) -> None:
    cast.bob.user.is_active = False
    cast.bob.user.save()
    assert not standing()
    cast.bob.user.is_active = True
    cast.bob.user.save()
    assert standing()
    cast.bob.membership.delete()
    assert not standing()


def test_the_role_of_now_counts(cast: Cast) -> None:
    mona = cast.mona
    builds = Standing(mona.user.pk, cast.workspace.pk, Action.CREATE, token_id=mona.token.pk)
    assert builds()
    Membership.objects.filter(pk=mona.membership.pk).update(role=Role.VIEWER)
    assert not builds()


def test_a_session_stands_until_its_user_signs_out(session: Standing, client: Browser) -> None:
    assert session()
    client.logout()
    assert not session()


def test_a_changed_password_ends_sessions(session: Standing, cast: Cast) -> None:
    cast.bob.user.set_password("another-one")
    cast.bob.user.save()
    assert not session()


def test_neither_token_nor_session_is_nobody(cast: Cast) -> None:
    assert not Standing(cast.bob.user.pk, cast.workspace.pk, Action.READ)()
