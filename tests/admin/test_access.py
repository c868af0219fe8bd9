"""The admin is for superusers, who see all tenants; for nobody else, not even staff."""

from __future__ import annotations

import pytest
from django.test import Client

from crewship.crews.models import Crew
from crewship.workspaces.models import User
from tests.admin.pages import Pages, text_of
from tests.cast import Cast


def test_a_superuser_sees_every_tenants_rows(admin: Pages, cast: Cast):
    page = text_of(admin.list(Crew))
    assert cast.crew.slug in page
    assert cast.strange_crew.slug in page


@pytest.mark.parametrize("flags", [{}, {"is_staff": True}], ids=["member", "staff"])
def test_others_are_sent_to_the_login(cast: Cast, client: Client, flags: dict[str, bool]):
    User.objects.filter(pk=cast.alice.user.pk).update(**flags)
    client.force_login(cast.alice.user)
    answer = client.get("/admin/crews/crew/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_a_deactivated_superuser_is_out_at_once(admin: Pages, olga: User):
    User.objects.filter(pk=olga.pk).update(is_active=False)
    assert admin.client.get("/admin/").status_code == 302


def test_the_login_says_who_may_enter(cast: Cast, client: Client):
    User.objects.filter(pk=cast.alice.user.pk).update(is_staff=True)
    answer = client.post(
        "/admin/login/", {"username": "alice@example.com", "password": "alice-has-a-password"}
    )
    assert "Only superusers may open the admin." in text_of(answer)
    assert "_auth_user_id" not in client.session


def test_a_superuser_can_log_in(olga: User, client: Client):
    answer = client.post(
        "/admin/login/?next=/admin/",
        {"username": "olga@example.com", "password": "olga-has-a-password", "next": "/admin/"},
    )
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_the_index_has_no_groups(admin: Pages):
    page = text_of(admin.client.get("/admin/"))
    assert "Groups" not in page
    assert "Crews" in page


OLGA = {"username": "olga@example.com", "password": "olga-has-a-password", "next": "/admin/"}


def test_the_eleventh_guess_at_an_operator_is_refused_even_if_right(olga: User, client: Client):
    for _ in range(10):
        client.post("/admin/login/", {**OLGA, "password": "wrong"})
    answer = client.post("/admin/login/", OLGA)
    assert answer.status_code == 429
    assert "Too many attempts for this email" in text_of(answer)
    assert "_auth_user_id" not in client.session


def test_guesses_at_the_sign_in_count_at_the_admins_login(olga: User, client: Client):
    for _ in range(10):
        client.post("/sign-in", {"email": "Olga@example.com", "password": "wrong"})
    assert client.post("/admin/login/", OLGA).status_code == 429


def test_a_login_without_a_password_does_not_start_the_count_again(olga: User, client: Client):
    for _ in range(9):
        client.post("/admin/login/", {**OLGA, "password": "wrong"})
    client.post("/admin/login/", {**OLGA, "password": ""})
    assert client.post("/admin/login/", OLGA).status_code == 429


def test_guesses_at_many_operators_from_one_address_are_slowed(client: Client, db, set_limits):
    set_limits(anonymous_requests_per_minute=3)
    answers = [
        client.post("/admin/login/", {**OLGA, "username": f"o{n}@example.com"}).status_code
        for n in range(4)
    ]
    assert answers == [200, 200, 200, 429]
