"""Inviting by a link, and accepting it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from crewship.domain.errors import Conflict, Forbidden
from crewship.domain.roles import Role
from crewship.workspaces.invitations import InvitationNotFound, find_invitation, invite
from crewship.workspaces.models import Invitation, Membership, User
from tests.cast import Cast
from tests.dashboard.conftest import Browse

NEW = {"name": "Nina", "password": "nina-has-a-password"}


def invited(cast: Cast, email: str = "nina@example.com", role: Role = Role.MANAGER) -> str:
    _, secret = invite(
        workspace=cast.workspace,
        email=email,
        role=role,
        actor=cast.adam.user,
        actor_role=Role.ADMIN,
    )
    return secret


def role_of(cast: Cast, email: str) -> str | None:
    found = Membership.objects.filter(workspace=cast.workspace, user__email=email).first()
    return found.role if found else None


def test_the_page_shows_a_link_once_that_makes_an_account_and_a_member(
    cast: Cast, browse: Browse, client: Client
):
    form = {"email": "Nina@Example.com", "role": "MANAGER"}
    page = browse.adam.post("/w/acme/members", form).content.decode()
    [path] = re.findall(r"http://testserver(/invite/[\w-]+)", page)
    assert path not in browse.adam.get("/w/acme/members").content.decode()
    answer = client.post(path, NEW, follow=True)
    assert answer.redirect_chain[-1][0] == "/w/acme/"
    assert role_of(cast, "nina@example.com") == Role.MANAGER
    assert User.objects.get(email="nina@example.com").check_password(NEW["password"])


def test_only_a_hash_of_the_secret_is_stored(cast: Cast):
    secret = invited(cast)
    assert secret not in str(list(Invitation.objects.values()))


def test_a_link_works_once(cast: Cast, client: Client):
    secret = invited(cast)
    client.post(f"/invite/{secret}", NEW)
    again = Client().post(f"/invite/{secret}", NEW)
    assert again.status_code == 404
    assert "not valid any more" in again.content.decode()


def test_looking_at_a_link_uses_nothing_up(cast: Cast, client: Client):
    secret = invited(cast)
    assert "Join Acme" in client.get(f"/invite/{secret}").content.decode()
    assert find_invitation(secret).accepted_at is None


@pytest.mark.parametrize("password", ["short", "1234567890", "password"])
def test_a_weak_password_makes_no_account(cast: Cast, client: Client, password: str):
    secret = invited(cast)
    client.post(f"/invite/{secret}", {**NEW, "password": password})
    assert not User.objects.filter(email="nina@example.com").exists()
    assert find_invitation(secret).pk


def test_an_expired_link_is_refused(cast: Cast):
    secret = invited(cast)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(InvitationNotFound):
        find_invitation(secret)


def test_a_revoked_link_is_refused(cast: Cast, browse: Browse):
    secret = invited(cast)
    browse.alice.post(f"/w/acme/invitations/{Invitation.objects.get().pk}/revoke")
    with pytest.raises(InvitationNotFound):
        find_invitation(secret)


def test_a_second_invitation_of_an_email_ends_the_first(cast: Cast):
    first, second = invited(cast), invited(cast)
    with pytest.raises(InvitationNotFound):
        find_invitation(first)
    assert find_invitation(second).pk


def test_whoever_lost_the_right_to_invite_grants_nothing_by_older_links(cast: Cast):
    secret = invited(cast)
    Membership.objects.filter(user=cast.adam.user).update(role=Role.VIEWER)
    with pytest.raises(InvitationNotFound):
        find_invitation(secret)


def test_nobody_invites_above_his_own_role(cast: Cast, browse: Browse):
    with pytest.raises(Forbidden):
        invited(cast, role=Role.OWNER)
    browse.adam.post("/w/acme/members", {"email": "x@example.com", "role": "OWNER"})
    assert not Invitation.objects.exists()


def test_a_member_is_not_invited_again(cast: Cast):
    with pytest.raises(Conflict):
        invited(cast, email="VERA@example.com")


def test_an_existing_user_signs_in_and_joins(cast: Cast, browse: Browse, client: Client):
    secret = invited(cast, email="mallory@example.com", role=Role.VIEWER)
    page = client.get(f"/invite/{secret}").content.decode()
    assert f"/sign-in?next=/invite/{secret}" in page
    assert 'name="password"' not in page
    browse.mallory.post(f"/invite/{secret}")
    assert role_of(cast, "mallory@example.com") == Role.VIEWER


def test_a_link_does_not_set_the_password_of_an_existing_user(cast: Cast, client: Client):
    secret = invited(cast, email="mallory@example.com")
    client.post(f"/invite/{secret}", NEW)
    assert not User.objects.get(email="mallory@example.com").check_password(NEW["password"])
    assert role_of(cast, "mallory@example.com") is None


def test_another_account_cannot_take_the_invitation(cast: Cast, browse: Browse):
    secret = invited(cast)
    page = browse.mallory.post(f"/invite/{secret}").content.decode()
    assert "This invitation is for nina@example.com" in page
    assert role_of(cast, "mallory@example.com") is None
    assert find_invitation(secret).pk


def test_a_deactivated_account_is_not_revived(cast: Cast, client: Client):
    User.objects.create_user("nina@example.com", "x", is_active=False)
    secret = invited(cast)
    client.post(f"/invite/{secret}", NEW)
    assert role_of(cast, "nina@example.com") is None


def test_another_workspaces_invitation_cannot_be_revoked(cast: Cast, browse: Browse):
    secret = invited(cast)
    pk = Invitation.objects.get().pk
    assert browse.mallory.post(f"/w/evil/invitations/{pk}/revoke").status_code == 404
    assert find_invitation(secret).pk


def test_a_page_that_was_opened_too_often_says_to_wait(
    cast: Cast, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("crewship.dashboard.invitations.OPENED_PER_MINUTE", 1)
    secret = invited(cast)
    assert client.get(f"/invite/{secret}").status_code == 200
    answer = client.get(f"/invite/{secret}")
    assert answer.status_code == 429
    assert "Wait a minute" in answer.content.decode()
    assert "not valid any more" not in answer.content.decode()
