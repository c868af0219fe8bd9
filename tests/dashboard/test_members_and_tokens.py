"""The pages of members and tokens: who sees them, and what their forms do."""

from __future__ import annotations

import re

import pytest

from crewship.domain.roles import Role
from crewship.workspaces.models import ApiToken, Membership
from tests.cast import PEOPLE, Cast
from tests.dashboard.conftest import Browse


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("alice", 200),
        ("adam", 200),
        ("mona", 403),
        ("bob", 403),
        ("vera", 403),
        ("mallory", 404),
    ],
)
def test_members_are_for_those_who_manage(browse: Browse, name: str, status: int):
    assert getattr(browse, name).get("/w/acme/members").status_code == status


def test_a_role_is_changed(cast: Cast, browse: Browse):
    browse.adam.post(f"/w/acme/members/{cast.vera.membership.pk}/role", {"role": "MANAGER"})
    cast.vera.membership.refresh_from_db()
    assert cast.vera.membership.role == Role.MANAGER


def test_an_admin_does_not_touch_an_owner(cast: Cast, browse: Browse):
    url = f"/w/acme/members/{cast.alice.membership.pk}"
    assert browse.adam.post(f"{url}/role", {"role": "VIEWER"}).status_code == 403
    assert browse.adam.post(f"{url}/remove").status_code == 403
    assert Membership.objects.get(pk=cast.alice.membership.pk).role == Role.OWNER


def test_the_last_owner_stays_and_the_page_says_why(cast: Cast, browse: Browse):
    answer = browse.alice.post(f"/w/acme/members/{cast.alice.membership.pk}/remove", follow=True)
    assert Membership.objects.filter(pk=cast.alice.membership.pk).exists()
    assert not any("not in the workspace" in str(m) for m in answer.context["messages"])


def test_a_member_of_another_workspace_is_not_found(cast: Cast, browse: Browse):
    url = f"/w/acme/members/{cast.mallory.membership.pk}/remove"
    assert browse.alice.post(url).status_code == 404


@pytest.mark.parametrize("name", PEOPLE[:5])
def test_everybody_makes_his_own_tokens_and_sees_the_secret_once(
    cast: Cast, browse: Browse, name: str
):
    form = {"name": "laptop", "role": "", "days": "30"}
    page = getattr(browse, name).post("/w/acme/tokens", form).content.decode()
    [secret] = re.findall(r"crs_[\w-]{43}", page)
    made = ApiToken.objects.get(name="laptop")
    assert made.user == cast.person(name).user
    assert made.workspace == cast.workspace
    assert secret not in getattr(browse, name).get("/w/acme/tokens").content.decode()


def test_a_token_is_not_stronger_than_its_maker(browse: Browse):
    browse.vera.post("/w/acme/tokens", {"name": "strong", "role": "OWNER", "days": "30"})
    assert not ApiToken.objects.filter(name="strong").exists()


def test_a_token_is_revoked_by_its_owner_only(cast: Cast, browse: Browse):
    url = f"/w/acme/tokens/{cast.vera.token.pk}/revoke"
    assert browse.alice.post(url).status_code == 404
    browse.vera.post(url)
    cast.vera.token.refresh_from_db()
    assert cast.vera.token.revoked_at is not None
