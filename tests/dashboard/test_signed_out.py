"""Requests of pages that outlived their session."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.cast import Cast
from tests.dashboard.conftest import Browse

PROVISION = "/w/acme/crews/backend/provision"
HERE = "http://testserver/w/acme/?q=x"


def test_htmx_leaves_for_the_sign_in_page_and_comes_back(cast: Cast, browse: Browse):
    answer = browse.nobody.post(PROVISION, headers={"HX-Request": "true", "HX-Current-URL": HERE})
    assert answer.status_code == 204
    assert answer["HX-Redirect"] == "/sign-in?next=/w/acme/%3Fq%3Dx"
    assert answer.content == b""


@pytest.mark.parametrize(
    "page", ["https://evil.example/w/", "http://testserver//evil.example", "http://[", "x"]
)
def test_no_other_site_becomes_the_page_to_come_back_to(cast: Cast, browse: Browse, page: str):
    for headers in ({"HX-Request": "true", "HX-Current-URL": page}, {"Referer": page}):
        answer = browse.nobody.post(PROVISION, headers=headers)
        assert (answer.get("HX-Redirect") or answer["Location"]) == "/sign-in?next=/"


def test_a_plain_post_comes_back_to_the_page_it_was_sent_from(cast: Cast, browse: Browse):
    answer = browse.nobody.post(PROVISION, headers={"Referer": HERE})
    assert answer["Location"] == "/sign-in?next=/w/acme/%3Fq%3Dx"


def test_a_page_comes_back_to_itself_whatever_led_to_it(cast: Cast, browse: Browse):
    answer = browse.nobody.get("/w/acme/images", headers={"Referer": HERE})
    assert answer["Location"] == "/sign-in?next=/w/acme/images"


def test_signing_out_leads_to_a_sign_in_without_a_way_back(browse: Browse):
    assert browse.vera.post("/sign-out", headers={"Referer": HERE})["Location"] == "/sign-in"


def test_the_sign_in_form_is_sent_to_the_sign_in_page(client: Client):
    assert 'action="/sign-in"' in client.get("/sign-in").content.decode()


def test_an_old_token_has_htmx_load_the_page_again(cast: Cast):
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.mona.user)
    answer = client.post(PROVISION, headers={"HX-Request": "true", "HX-Current-URL": HERE})
    assert answer["HX-Redirect"] == "/w/acme/?q=x"
    assert "The page was out of date" in client.get("/w/acme/").content.decode()


def test_an_old_token_of_an_ended_session_has_htmx_sign_in(cast: Cast):
    client = Client(enforce_csrf_checks=True)
    answer = client.post(PROVISION, headers={"HX-Request": "true", "HX-Current-URL": HERE})
    assert answer["HX-Redirect"] == "/sign-in?next=/w/acme/%3Fq%3Dx"
