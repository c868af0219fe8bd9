"""Users: made with a password, deactivated and not deleted."""

from __future__ import annotations

from crewship.workspaces.models import User
from tests.admin.pages import Pages, form_of, text_of, url_of
from tests.cast import Cast

NEW = {"email": "Nora@Example.com", "name": "Nora", "usable_password": "true"}
PASSWORD = {"password1": "nora-has-a-password", "password2": "nora-has-a-password"}


def test_a_new_user_can_sign_in_with_the_lower_case_email(admin: Pages):
    admin.post(User, "add", **NEW, **PASSWORD)
    nora = User.objects.get(email="nora@example.com")
    assert nora.check_password("nora-has-a-password")
    assert not nora.is_superuser


def test_an_email_that_differs_in_case_only_is_taken(admin: Pages, cast: Cast):
    page = admin.post(User, "add", **{**NEW, "email": "ALICE@example.com"}, **PASSWORD)
    assert "already exists" in text_of(page)


def test_the_page_shows_the_users_workspaces(admin: Pages, cast: Cast):
    assert "acme" in text_of(admin.page(cast.bob.user))


def test_the_password_hash_is_not_on_the_page(admin: Pages, cast: Cast):
    assert cast.bob.user.password not in text_of(admin.page(cast.bob.user))


def test_a_user_is_not_deleted(admin: Pages, cast: Cast):
    assert admin.page(cast.bob.user, "delete").status_code == 403


def test_a_deactivated_users_token_is_refused(admin: Pages, cast: Cast, api):
    form = form_of(admin.page(cast.bob.user))
    form.pop("is_active")
    inline = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    assert admin.post(cast.bob.user, **form, **inline).status_code == 302
    assert api.bob.get("/crews").status_code == 401


def test_a_new_superuser_may_enter(admin: Pages, cast: Cast, client):
    form = form_of(admin.page(cast.bob.user)) | {"is_superuser": "on"}
    inline = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    assert admin.post(cast.bob.user, **form, **inline).status_code == 302
    client.force_login(User.objects.get(pk=cast.bob.user.pk))
    assert client.get(url_of(User, "changelist")).status_code == 200
