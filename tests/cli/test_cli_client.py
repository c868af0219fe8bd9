"""The client's view of the API: answers, pages, problems, a server that is away."""

from __future__ import annotations

import httpx
import pytest

from crewship.cli.account import Account
from crewship.cli.client import Client, Refused
from crewship.domain.errors import Unavailable

ACCOUNT = Account("http://crews.example", "crs_x")


def client(answer: object) -> Client:
    return Client(ACCOUNT, httpx.MockTransport(answer))  # type: ignore[arg-type]  # a handler


def test_the_token_goes_in_the_header_below_the_api() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer crs_x"
        return httpx.Response(200, json={"path": request.url.path})

    with client(handler) as api:
        assert api.call("GET", "/me") == {"path": "/api/v1/me"}


def test_an_empty_answer_is_none() -> None:
    with client(lambda request: httpx.Response(204)) as api:
        assert api.call("DELETE", "/cache/images/x") is None


def test_pages_are_followed_on_our_host_only() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "crews.example"
        after = "" if "cursor" in str(request.url) else "http://evil.example/x?cursor=2"
        return httpx.Response(200, json={"results": [after], "next": after or None})

    with client(handler) as api:
        assert len(api.all("/crews")) == 2


def test_a_problem_is_an_error_with_code_and_hint() -> None:
    body = {"detail": "In use.", "code": "in_use", "hint": "Wait.", "crew_ids": ["crw_1"]}
    with (
        client(lambda request: httpx.Response(409, json=body)) as api,
        pytest.raises(Refused) as caught,
    ):
        api.call("DELETE", "/x")
    error = caught.value
    assert (error.status, error.message, error.error_code) == (409, "In use.", "in_use")
    assert (error.error_hint, error.extra["crew_ids"]) == ("Wait.", ["crw_1"])


def test_an_error_that_is_no_problem_is_readable() -> None:
    with (
        client(lambda request: httpx.Response(502, text="<html>")) as api,
        pytest.raises(Refused, match="The server answered 502"),
    ):
        api.call("GET", "/me")


def test_a_server_that_is_away_is_unavailable() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with client(handler) as api, pytest.raises(Unavailable) as caught:
        api.call("GET", "/me")
    assert caught.value.error_code == "unreachable"


DATABASE_AWAY = {"detail": "The database does not answer.", "code": "database_unavailable"}


def test_a_question_waits_for_the_servers_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crewship.cli.client.DATABASE_PAUSE_S", 0)
    answers = iter([httpx.Response(503, json=DATABASE_AWAY), httpx.Response(200, json={"a": 1})])
    with client(lambda request: next(answers)) as api:
        assert api.call("GET", "/me") == {"a": 1}


def test_a_change_is_not_sent_twice() -> None:
    answers = iter([httpx.Response(503, json=DATABASE_AWAY)])
    with client(lambda request: next(answers)) as api, pytest.raises(Refused) as caught:
        api.call("POST", "/crews/x/provision")
    assert caught.value.error_code == "database_unavailable"
