"""Signing in and out, and the password page."""

from __future__ import annotations

import pytest
from django.test import Client

from crewship.web import sign_in_limits
from tests.cast import Cast
from tests.dashboard.conftest import Browse

ALICE = {"email": "alice@example.com", "password": "alice-has-a-password"}


def test_a_right_password_leads_to_the_workspace(cast: Cast, client: Client):
    answer = client.post("/sign-in", ALICE, follow=True)
    assert answer.redirect_chain[-1][0] == "/w/acme/"
    assert answer.status_code == 200


def test_a_stranger_is_sent_to_sign_in_and_back(cast: Cast, client: Client):
    answer = client.get("/w/acme/")
    assert answer["Location"] == "/sign-in?next=/w/acme/"
    assert client.post("/sign-in", {**ALICE, "next": "/w/acme/?q=x"})["Location"] == "/w/acme/?q=x"


@pytest.mark.parametrize(
    "next_url",
    ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example", "http:x"],
)
def test_sign_in_leads_to_no_other_site(cast: Cast, client: Client, next_url: str):
    assert client.post("/sign-in", {**ALICE, "next": next_url})["Location"] == "/"


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
def test_a_wrong_password_and_an_unknown_email_look_the_same(
    cast: Cast, client: Client, email: str
):
    answer = client.post("/sign-in", {"email": email, "password": "wrong"})
    assert "Email and password do not match an account." in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_email_case_does_not_matter(cast: Cast, client: Client):
    client.post("/sign-in", {**ALICE, "email": "Alice@Example.com"})
    assert "_auth_user_id" in client.session


def test_a_disabled_account_cannot_sign_in(cast: Cast, client: Client):
    cast.alice.user.is_active = False
    cast.alice.user.save()
    client.post("/sign-in", ALICE)
    assert "_auth_user_id" not in client.session


def test_the_session_key_changes_at_sign_in(cast: Cast, client: Client):
    session = client.session
    session["seen"] = True
    session.save()
    before = session.session_key
    client.post("/sign-in", ALICE)
    assert client.session.session_key != before


def test_the_eleventh_guess_at_an_email_is_refused_even_if_right(cast: Cast, client: Client):
    for _ in range(10):
        client.post("/sign-in", {**ALICE, "password": "wrong"})
    answer = client.post("/sign-in", ALICE)
    assert answer.status_code == 429
    assert "Too many attempts for this email" in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_guesses_from_elsewhere_do_not_keep_the_owner_out(cast: Cast, client: Client):
    for _ in range(15):
        client.post("/sign-in", {**ALICE, "password": "wrong"}, REMOTE_ADDR="203.0.113.7")
    assert client.post("/sign-in", ALICE).status_code == 302


def test_guesses_at_an_email_from_many_addresses_are_slowed(
    cast: Cast, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sign_in_limits, "EMAIL_ATTEMPTS", 3)
    answers = [
        client.post("/sign-in", {**ALICE, "password": "x"}, REMOTE_ADDR=f"203.0.113.{n}")
        for n in range(4)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_what_one_address_is_refused_does_not_count_against_the_email(
    cast: Cast, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sign_in_limits, "EMAIL_ATTEMPTS", 11)
    for _ in range(20):
        client.post("/sign-in", {**ALICE, "password": "wrong"}, REMOTE_ADDR="203.0.113.7")
    assert client.post("/sign-in", ALICE).status_code == 302


def test_addresses_of_one_ipv6_network_count_as_one(cast: Cast, client: Client):
    for n in range(10):
        client.post("/sign-in", {**ALICE, "password": "x"}, REMOTE_ADDR=f"2001:db8::{n:x}")
    assert client.post("/sign-in", ALICE, REMOTE_ADDR="2001:db8::ffff").status_code == 429
    assert client.post("/sign-in", ALICE, REMOTE_ADDR="2001:db8:0:1::1").status_code == 302


def test_guesses_at_many_emails_from_one_address_are_slowed(cast: Cast, client: Client, set_limits):
    set_limits(anonymous_requests_per_minute=3)
    answers = [
        client.post("/sign-in", {"email": f"a{n}@example.com", "password": "x"}).status_code
        for n in range(4)
    ]
    assert answers == [200, 200, 200, 429]


def test_sign_out_needs_a_post_and_ends_the_session(browse: Browse):
    assert browse.alice.get("/sign-out").status_code == 405
    browse.alice.post("/sign-out")
    assert browse.alice.get("/w/acme/").status_code == 302


def test_sign_in_needs_a_csrf_token(cast: Cast):
    answer = Client(enforce_csrf_checks=True).post("/sign-in", ALICE)
    assert answer.status_code == 403
    assert "This page is out of date" in answer.content.decode()


def test_changing_the_password_keeps_this_session_and_ends_the_others(cast: Cast, client: Client):
    other = Client()
    other.force_login(cast.alice.user)
    client.force_login(cast.alice.user)
    new = "a-longer-one-now"
    form = {"old_password": "alice-has-a-password", "new_password1": new, "new_password2": new}
    assert (
        "Your password is changed" in client.post("/password", form, follow=True).content.decode()
    )
    assert client.get("/w/acme/").status_code == 200
    assert other.get("/w/acme/").status_code == 302


def test_a_wrong_old_password_changes_nothing(cast: Cast, browse: Browse):
    form = {"old_password": "no", "new_password1": "abcd-efgh-1", "new_password2": "abcd-efgh-1"}
    browse.alice.post("/password", form)
    cast.alice.user.refresh_from_db()
    assert cast.alice.user.check_password("alice-has-a-password")


def test_the_theme_is_remembered(browse: Browse):
    browse.vera.post("/theme", {"theme": "dark", "next": "/w/acme/"})
    assert 'data-theme="dark"' in browse.vera.get("/w/acme/").content.decode()
    browse.vera.post("/theme", {"theme": '"><script>'})
    assert "data-theme" not in browse.vera.get("/w/acme/").content.decode()


def test_guessing_the_old_password_of_an_open_session_is_slowed(cast: Cast, browse: Browse):
    form = {"old_password": "no", "new_password1": "abcd-efgh-1", "new_password2": "abcd-efgh-1"}
    for _ in range(10):
        browse.alice.post("/password", form)
    right = {**form, "old_password": "alice-has-a-password"}
    assert "Too many attempts" in browse.alice.post("/password", right).content.decode()
    cast.alice.user.refresh_from_db()
    assert cast.alice.user.check_password("alice-has-a-password")
