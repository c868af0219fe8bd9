"""The audit trail's page."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from crewship.domain.roles import Role
from crewship.workspaces.invitations import invite
from crewship.workspaces.models import AuditEvent
from tests.cast import Cast
from tests.dashboard.conftest import Browse


@pytest.mark.parametrize(
    ("name", "status"),
    [("alice", 200), ("adam", 200), ("mona", 403), ("bob", 403), ("vera", 403), ("mallory", 404)],
)
def test_the_trail_is_for_those_who_manage(browse: Browse, name: str, status: int):
    assert getattr(browse, name).get("/w/acme/audit").status_code == status


def test_what_is_done_in_the_dashboard_is_in_the_trail(cast: Cast, browse: Browse, host):
    browse.mona.post("/w/acme/crews/backend/provision")
    page = browse.alice.get("/w/acme/audit").content.decode()
    assert "provision.started" in page
    assert "mona@example.com" in page


def test_the_trail_is_filtered(cast: Cast, browse: Browse, host):
    browse.mona.post("/w/acme/crews/backend/provision")
    browse.adam.post("/w/acme/members", {"email": "x@example.com", "role": "VIEWER"})
    page = browse.alice.get("/w/acme/audit?kind=invitation").content.decode()
    assert "invitation.made" in page
    assert "provision.started" not in page
    page = browse.alice.get("/w/acme/audit?q=mona").content.decode()
    assert "provision.started" in page
    assert "invitation.made" not in page


def test_no_act_of_another_workspace_is_shown(browse: Browse, host):
    browse.mona.post("/w/acme/crews/backend/provision")
    assert "mona@example.com" not in browse.mallory.get("/w/evil/audit").content.decode()


def test_members_sign_ins_and_changed_passwords_are_in_it(cast: Cast, browse: Browse):
    browse.nobody.post("/sign-in", {"email": "bob@example.com", "password": "wrong-wrong"})
    bob = browse.nobody
    bob.post("/sign-in", {"email": "bob@example.com", "password": "bob-has-a-password"})
    new = "bob-has-another-one"
    bob.post(
        "/password",
        {"old_password": "bob-has-a-password", "new_password1": new, "new_password2": new},
    )
    page = browse.alice.get("/w/acme/audit?kind=session&q=bob").content.decode()
    assert "session.signed_in" in page
    assert "session.sign_in_failed" in page
    page = browse.alice.get("/w/acme/audit?kind=password").content.decode()
    assert "password.changed" in page
    assert new not in page


def test_sign_ins_of_strangers_and_from_before_are_not(cast: Cast, browse: Browse):
    for name in ("mallory", "bob"):
        form = {"email": f"{name}@example.com", "password": f"{name}-has-a-password"}
        browse.nobody.post("/sign-in", form)
    cast.bob.membership.created_at = timezone.now()
    cast.bob.membership.save()
    for name in ("mallory", "bob"):
        page = browse.alice.get(f"/w/acme/audit?kind=session&q={name}").content.decode()
        assert "Nothing is like that" in page


def test_an_accepted_invitation_names_the_new_member(cast: Cast, browse: Browse):
    _, secret = invite(
        workspace=cast.workspace,
        email="nina@example.com",
        role=Role.MEMBER,
        actor=cast.adam.user,
        actor_role=Role.ADMIN,
    )
    browse.nobody.post(f"/invite/{secret}", {"name": "Nina", "password": "nina-has-a-password"})
    event = AuditEvent.objects.get(action="member.added", target_label="nina@example.com")
    assert (event.actor_label, event.via) == ("nina@example.com", "dashboard")


def test_a_password_that_an_operator_sets_is_noted(cast: Cast, client: Client):
    cast.bob.user.set_password("set-by-an-operator")
    cast.bob.user.save()
    cast.bob.user.save()
    client.post("/sign-in", {"email": "bob@example.com", "password": "set-by-an-operator"})
    assert AuditEvent.objects.filter(action="password.changed").count() == 1
