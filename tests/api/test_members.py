"""Members: who is in the workspace; nobody raises himself, the last owner stays."""

from __future__ import annotations

import pytest

from crewship.domain.roles import Role
from crewship.workspaces.models import Membership, User
from crewship.workspaces.tokens import make_token
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem
from tests.rows import all_rows


@pytest.fixture
def zoe(db: None) -> User:
    return User.objects.create_user("zoe@example.com", "zoe-has-a-password", name="Zoe")


def test_members_are_listed_with_role_and_email(api: Api, cast: Cast) -> None:
    body = api.adam.get("/members").json()
    assert set(body) == {"results", "next", "previous"}
    assert {m["email"]: m["role"] for m in body["results"]} == {
        "alice@example.com": "OWNER",
        "adam@example.com": "ADMIN",
        "mona@example.com": "MANAGER",
        "bob@example.com": "MEMBER",
        "vera@example.com": "VIEWER",
    }
    assert all(m["id"].startswith("mbr_") for m in body["results"])


def test_an_existing_user_is_added(api: Api, cast: Cast, zoe: User) -> None:
    answer = api.adam.post("/members", {"email": " ZOE@Example.com", "role": "MANAGER"})
    assert answer.status_code == 201
    assert (answer.json()["email"], answer.json()["role"]) == ("zoe@example.com", "MANAGER")
    assert Membership.objects.get(user=zoe, workspace=cast.workspace).role == Role.MANAGER


def test_adding_leaves_the_account_as_it_is(api: Api, zoe: User) -> None:
    api.adam.post("/members", {"email": zoe.email})
    after = User.objects.get(pk=zoe.pk)
    assert (after.password, after.is_staff, after.name) == (zoe.password, False, "Zoe")


def test_without_a_role_one_is_a_member(api: Api, zoe: User) -> None:
    assert api.adam.post("/members", {"email": zoe.email}).json()["role"] == "MEMBER"


def test_an_unknown_email_makes_no_account(api: Api, cast: Cast) -> None:
    before = all_rows()
    body = problem(api.alice.post("/members", {"email": "new@example.com"}), 400, "user_unknown")
    assert "operator" in body["hint"]
    assert all_rows() == before


def test_a_deactivated_user_is_unknown(api: Api, zoe: User) -> None:
    User.objects.filter(pk=zoe.pk).update(is_active=False)
    problem(api.alice.post("/members", {"email": zoe.email}), 400, "user_unknown")


def test_adding_a_member_again_changes_no_role(api: Api, cast: Cast) -> None:
    body = {"email": "vera@example.com", "role": "ADMIN"}
    problem(api.alice.post("/members", body), 409, "already_member")
    assert Membership.objects.get(pk=cast.vera.membership.pk).role == Role.VIEWER


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "no address"},
        {"email": "zoe@example.com", "role": "KING"},
        {"email": "a\0@b.c"},
    ],
)
def test_a_bad_body_is_400(body: dict[str, str], api: Api, zoe: User) -> None:
    problem(api.alice.post("/members", body), 400, "invalid")


def test_an_admin_makes_no_owner(api: Api, cast: Cast, zoe: User) -> None:
    before = all_rows()
    problem(api.adam.post("/members", {"email": zoe.email, "role": "OWNER"}), 403, "forbidden")
    for person in (cast.vera, cast.adam):
        path = f"/members/{person.membership.pk}"
        problem(api.adam.patch(path, {"role": "OWNER"}), 403, "forbidden")
    assert all_rows() == before


def test_an_admin_neither_lowers_nor_removes_an_owner(api: Api, cast: Cast) -> None:
    path = f"/members/{cast.alice.membership.pk}"
    problem(api.adam.patch(path, {"role": "VIEWER"}), 403, "forbidden")
    problem(api.adam.delete(path), 403, "forbidden")
    assert Membership.objects.get(pk=cast.alice.membership.pk).role == Role.OWNER


def test_a_manager_cannot_raise_himself(api: Api, cast: Cast) -> None:
    path = f"/members/{cast.mona.membership.pk}"
    problem(api.mona.patch(path, {"role": "ADMIN"}), 403, "forbidden")
    assert Membership.objects.get(pk=cast.mona.membership.pk).role == Role.MANAGER


def test_an_owners_weak_token_manages_nobody(api: Api, cast: Cast, zoe: User) -> None:
    _, admin = make_token(user=cast.alice.user, name="a", role=Role.ADMIN)
    _, viewer = make_token(user=cast.alice.user, name="v", role=Role.VIEWER)
    owner = {"email": zoe.email, "role": "OWNER"}
    problem(api.by(admin).post("/members", owner), 403, "forbidden")
    problem(api.by(viewer).post("/members", {"email": zoe.email}), 403, "forbidden")
    assert not Membership.objects.filter(user=zoe).exists()


def test_a_role_holds_from_the_next_request_on(api: Api, cast: Cast) -> None:
    answer = api.alice.patch(f"/members/{cast.mona.membership.pk}", {"role": "VIEWER"})
    assert (answer.status_code, answer.json()["role"]) == (200, "VIEWER")
    problem(api.mona.post("/crews", {"name": "X", "slug": "xx"}), 403, "forbidden")


def test_the_last_owner_stays(api: Api, cast: Cast) -> None:
    path = f"/members/{cast.alice.membership.pk}"
    problem(api.alice.patch(path, {"role": "ADMIN"}), 409, "last_owner")
    problem(api.alice.delete(path), 409, "last_owner")
    assert Membership.objects.get(pk=cast.alice.membership.pk).role == Role.OWNER


def test_an_owner_makes_another_and_may_then_leave(api: Api, cast: Cast) -> None:
    api.alice.patch(f"/members/{cast.adam.membership.pk}", {"role": "OWNER"})
    assert api.alice.delete(f"/members/{cast.alice.membership.pk}").status_code == 204
    problem(api.alice.get("/members"), 400, "workspace_required")


def test_who_is_removed_is_out_at_once(api: Api, cast: Cast) -> None:
    assert api.adam.delete(f"/members/{cast.bob.membership.pk}").status_code == 204
    problem(api.bob.get("/crews?workspace_id=acme"), 404, "workspace_not_found")
    assert User.objects.filter(pk=cast.bob.user.pk).exists()


def test_a_member_of_another_workspace_is_404(api: Api, cast: Cast) -> None:
    path = f"/members/{cast.bob.membership.pk}"
    foreign = problem(api.mallory.patch(path, {"role": "OWNER"}), 404, "member_not_found")
    absent = problem(api.mallory.delete("/members/mbr_0"), 404, "member_not_found")
    assert foreign["detail"] == absent["detail"]


def test_a_malformed_id_is_400(api: Api) -> None:
    problem(api.alice.delete("/members/7"), 400, "invalid_id")


def test_the_list_is_paged(api: Api) -> None:
    first = api.alice.get("/members?page_size=3").json()
    rest = api.alice.get("/members?" + first["next"].partition("?")[2]).json()
    assert (len(first["results"]), len(rest["results"]), rest["next"]) == (3, 2, None)
