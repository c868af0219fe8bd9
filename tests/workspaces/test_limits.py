"""How many crews, members and tokens there may be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from crewship.crews.models import Crew
from crewship.domain.roles import Role
from crewship.settings.options import Options
from crewship.workspaces.invitations import invite, open_invitations
from crewship.workspaces.limits import LimitReached
from crewship.workspaces.models import ApiToken, Invitation, Membership, User
from crewship.workspaces.services import bootstrap
from crewship.workspaces.tokens import make_token, revoke_token
from tests.cast import CONFIG, Cast, make_crew
from tests.conftest import Api
from tests.dashboard.conftest import Browse
from tests.dashboard.conftest import browse as browse
from tests.problem import problem

pytestmark = pytest.mark.django_db
SetLimits = Callable[..., Options]
NEW = {"name": "Nina", "password": "nina-has-a-password"}


def refused(answer: Any, what: str, limit: int) -> bool:
    body = problem(answer, 400, "limit_reached")
    return (body["what"], body["limit"], bool(body["hint"])) == (what, limit, True)


def invited(cast: Cast, email: str = "nina@example.com") -> str:
    _, secret = invite(
        workspace=cast.workspace,
        email=email,
        role=Role.MEMBER,
        actor=cast.adam.user,
        actor_role=Role.ADMIN,
    )
    return secret


# -- crews (the cast has one)
def test_a_crew_beyond_the_limit_is_refused(api: Api, set_limits: SetLimits) -> None:
    set_limits(crews_per_workspace=1)
    body = {"name": "Two", "slug": "two", "devcontainer_config": CONFIG}
    assert refused(api.mona.post("/crews", body), "crews", 1)
    assert list(Crew.objects.filter(slug="two")) == []


def test_an_imported_crew_beyond_the_limit_is_refused(api: Api, set_limits: SetLimits) -> None:
    set_limits(crews_per_workspace=1)
    body = {"slug": "two", "files": {"devcontainer.json": CONFIG}}
    assert refused(api.mona.post("/crews/import", body), "crews", 1)


def test_a_crew_up_to_the_limit_is_made(cast: Cast, set_limits: SetLimits) -> None:
    set_limits(crews_per_workspace=2)
    make_crew(cast.workspace, "two")
    with pytest.raises(LimitReached, match="acme has 2 of at most 2 crews"):
        make_crew(cast.workspace, "three")


def test_another_workspaces_crews_do_not_count(cast: Cast, set_limits: SetLimits) -> None:
    set_limits(crews_per_workspace=2)
    make_crew(cast.workspace, "two")
    make_crew(cast.strange_workspace, "two")


def test_crews_beyond_a_lowered_limit_are_saved_and_read(
    api: Api, cast: Cast, set_limits: SetLimits
) -> None:
    make_crew(cast.workspace, "two")
    set_limits(crews_per_workspace=1)
    assert api.mona.patch(f"/crews/{cast.crew.pk}", {"name": "New"}).status_code == 200


def test_the_editor_says_it_in_a_sentence(
    browse: Browse, cast: Cast, set_limits: SetLimits
) -> None:
    set_limits(crews_per_workspace=1)
    form = {"name": "Two", "slug": "two", "devcontainer_config": CONFIG, "action": "save"}
    page = browse.mona.post("/w/acme/crews/new", form).content.decode()
    assert "acme has 1 of at most 1 crews" in page
    assert "ask the operator to raise the limit" in page


# -- members (the cast has five)
def test_a_member_beyond_the_limit_is_refused(api: Api, set_limits: SetLimits) -> None:
    set_limits(members_per_workspace=5)
    body = {"email": "mallory@example.com", "role": "MEMBER"}
    assert refused(api.alice.post("/members", body), "members", 5)


def test_a_member_up_to_the_limit_is_added(api: Api, set_limits: SetLimits) -> None:
    set_limits(members_per_workspace=6)
    body = {"email": "mallory@example.com", "role": "MEMBER"}
    assert api.alice.post("/members", body).status_code == 201


def test_who_is_a_member_already_is_told_so_at_the_limit(api: Api, set_limits: SetLimits) -> None:
    set_limits(members_per_workspace=5)
    body = {"email": "bob@example.com", "role": "MEMBER"}
    problem(api.alice.post("/members", body), 409, "already_member")


def test_open_invitations_count_as_members(cast: Cast, set_limits: SetLimits) -> None:
    set_limits(members_per_workspace=6)
    invited(cast)
    with pytest.raises(LimitReached, match="open invitations has 6 of at most 6"):
        invited(cast, "otto@example.com")
    assert open_invitations(cast.workspace).count() == 1


def test_the_same_person_is_invited_again_at_the_limit(cast: Cast, set_limits: SetLimits) -> None:
    set_limits(members_per_workspace=6)
    invited(cast)
    invited(cast)


def test_invitations_that_expired_do_not_count(cast: Cast, set_limits: SetLimits) -> None:
    set_limits(members_per_workspace=6)
    invited(cast)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    invited(cast, "otto@example.com")


def test_an_invitation_is_not_lost_when_there_is_no_place_for_its_person(
    cast: Cast, set_limits: SetLimits
) -> None:
    secret = invited(cast)
    set_limits(members_per_workspace=5)
    page = Client().post(f"/invite/{secret}", NEW).content.decode()
    assert "acme has 5 of at most 5 members" in page
    assert not User.objects.filter(email="nina@example.com").exists()
    set_limits(members_per_workspace=6)
    assert Client().post(f"/invite/{secret}", NEW).status_code == 302


def test_an_account_that_is_invited_is_refused_too(
    cast: Cast, browse: Browse, set_limits: SetLimits
) -> None:
    secret = invited(cast, "mallory@example.com")
    set_limits(members_per_workspace=5)
    assert (
        "acme has 5 of at most 5 members"
        in browse.mallory.post(f"/invite/{secret}").content.decode()
    )
    assert not Membership.objects.filter(workspace=cast.workspace, user=cast.mallory.user).exists()


def test_the_members_page_says_it_in_a_sentence(browse: Browse, set_limits: SetLimits) -> None:
    set_limits(members_per_workspace=5)
    form = {"email": "nina@example.com", "role": "MEMBER"}
    page = browse.adam.post("/w/acme/members", form).content.decode()
    assert "acme with its open invitations has 5 of at most 5 members" in page


# -- tokens (everybody of the cast has one)
def test_a_token_beyond_the_limit_is_refused(api: Api, set_limits: SetLimits) -> None:
    set_limits(tokens_per_user=1)
    assert refused(api.bob.post("/tokens", {"name": "second"}), "tokens", 1)


def test_tokens_of_all_workspaces_count(cast: Cast, set_limits: SetLimits) -> None:
    set_limits(tokens_per_user=2)
    make_token(user=cast.bob.user, name="here", workspace=cast.workspace)
    with pytest.raises(LimitReached, match="has 2 of at most 2 tokens"):
        make_token(user=cast.bob.user, name="there", workspace=cast.strange_workspace)


def test_revoked_and_expired_tokens_do_not_count(cast: Cast, set_limits: SetLimits) -> None:
    set_limits(tokens_per_user=2)
    token, _ = make_token(user=cast.bob.user, name="second")
    revoke_token(token)
    token, _ = make_token(user=cast.bob.user, name="third")
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    make_token(user=cast.bob.user, name="fourth")


def test_each_user_has_a_count_of_their_own(cast: Cast, set_limits: SetLimits) -> None:
    set_limits(tokens_per_user=2)
    make_token(user=cast.bob.user, name="second")
    make_token(user=cast.vera.user, name="second")


def test_the_operators_command_makes_one_all_the_same(cast: Cast, set_limits: SetLimits) -> None:
    set_limits(tokens_per_user=1)
    assert bootstrap(slug="acme", email="alice@example.com").token


def test_the_tokens_page_says_it_in_a_sentence(browse: Browse, set_limits: SetLimits) -> None:
    set_limits(tokens_per_user=1)
    page = browse.bob.post("/w/acme/tokens", {"name": "second", "days": "9"}).content.decode()
    assert "bob@example.com has 1 of at most 1 tokens" in page
    assert "second" in page
