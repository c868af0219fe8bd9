"""Who sees which workspace, what every page carries, and the error pages."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils.html import escape

from crewship.dashboard import overview
from crewship.domain.errors import ConfigError, Conflict, CrewshipError, Unavailable
from crewship.workspaces.models import Membership, User, Workspace
from tests.cast import Cast
from tests.dashboard.conftest import Browse


def test_a_strangers_workspace_is_a_page_not_found(browse: Browse):
    answer = browse.mallory.get("/w/acme/")
    assert answer.status_code == 404
    assert "Not found" in answer.content.decode()


def test_a_workspace_that_does_not_exist_looks_the_same(browse: Browse):
    assert browse.mallory.get("/w/acme/").content == browse.mallory.get("/w/nowhere/").content


def test_the_start_page_leads_to_the_workspace_that_was_looked_at_last(cast: Cast, browse: Browse):
    Membership.objects.create(
        workspace=Workspace.objects.create(slug="second", name="Second"), user=cast.vera.user
    )
    assert browse.vera.get("/")["Location"] == "/w/acme/"
    browse.vera.get("/w/second/")
    assert browse.vera.get("/")["Location"] == "/w/second/"


def test_a_user_without_a_workspace_is_told_what_to_do(db: None, client: Client):
    client.force_login(User.objects.create_user("new@example.com", "x"))
    assert "You are in no workspace" in client.get("/").content.decode()


@pytest.mark.parametrize(
    "path", ["/w/acme/", "/sign-in", "/password", "/w/nowhere/", "/admin/login/"]
)
def test_every_page_has_the_policy_and_nothing_inline(browse: Browse, path: str):
    client = browse.nobody if path in {"/sign-in", "/admin/login/"} else browse.alice
    answer = client.get(path)
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    page = answer.content.decode()
    assert "<style" not in page
    assert " style=" not in page
    assert " onclick=" not in page
    assert "<script>" not in page


def test_pages_are_not_kept_by_the_browser(browse: Browse):
    assert "no-store" in browse.vera.get("/w/acme/")["Cache-Control"]


def test_the_name_of_a_workspace_is_text(cast: Cast, browse: Browse):
    cast.workspace.name = "<script>alert(1)</script>"
    cast.workspace.save()
    page = browse.vera.get("/w/acme/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_crash_is_a_page_without_internals(browse: Browse, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("crewship.dashboard.scope.find_scope", lambda *_: 1 / 0)
    answer = browse.vera.get("/w/acme/")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.content.decode()
    assert "ZeroDivisionError" not in answer.content.decode()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("No such <id>."), 404),
        (Conflict("It is <in> use."), 409),
        (Unavailable("Redis is <away>."), 503),
    ],
)
def test_a_typed_error_that_a_view_lets_pass_is_a_page(
    browse: Browse, monkeypatch: pytest.MonkeyPatch, error: CrewshipError, status: int
):
    def fails(*args: object) -> None:
        raise error

    monkeypatch.setattr(overview, "find_crews", fails)
    answer = browse.alice.get("/w/acme/")
    assert answer.status_code == status
    assert "<h1>" in answer.content.decode()
    if status != 404:
        assert escape(error.message) in answer.content.decode()
