"""The database is away: every route answers 503, none with a crash; the process lives on."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver

from crewship.web.database import OutageFilter, close_connection, is_away
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem
from tests.stack.postgres import PostgresServer


@contextmanager
def away() -> Iterator[None]:
    def refuse(*_: Any) -> Any:
        raise OperationalError("connection to server at db.internal, port 5432 failed")

    with connection.execute_wrapper(refuse):
        yield


@pytest.fixture(params=[False, True], ids=["debug-off", "debug-on"])
def debug(request: pytest.FixtureRequest, settings: Any) -> bool:
    settings.DEBUG = request.param
    return bool(request.param)


def routes(patterns: Any, before: str = "") -> Iterator[str]:
    """Every route below /api/v1 with something in place of its arguments."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and route.startswith("api/v1/"):
            yield "/" + "".join("x" if i % 2 else part for i, part in enumerate(_split(route)))


def _split(route: str) -> list[str]:
    return route.replace("<", "\0").replace(">", "\0").split("\0")


def unavailable(answer: Any) -> None:
    body = problem(answer, 503, "database_unavailable")
    assert answer["Retry-After"] == "5"
    assert "db.internal" not in str(body)
    assert body["hint"]


def test_every_api_route_is_503_for_a_token(api: Api) -> None:
    seen = 0
    alice = api.alice
    for route in routes(get_resolver().url_patterns):
        with away():
            answer = alice.get(route.removeprefix("/api/v1"))
        if answer.status_code == 200:  # the document of the API: it needs no database
            continue
        unavailable(answer)
        seen += 1
    assert seen > 25


@pytest.mark.parametrize("method", ["post", "patch", "delete"])
def test_a_change_is_503(method: str, api: Api, cast: Cast, debug: bool) -> None:
    alice = api.alice
    with away():
        unavailable(getattr(alice, method)(f"/crews/{cast.crew.pk}"))


def test_a_session_is_503(cast: Cast, debug: bool) -> None:
    browser = Browser(raise_request_exception=False)
    browser.force_login(cast.person("alice").user)
    with away():
        unavailable(browser.get("/api/v1/crews"))


@pytest.mark.parametrize("path", ["/", "/w/acme/", "/sign-in", "/admin/"])
def test_a_page_says_so(path: str, cast: Cast, debug: bool) -> None:
    browser = Browser(raise_request_exception=False)
    browser.force_login(cast.person("alice").user)
    with away():
        answer = browser.get(path)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    text = answer.content.decode()
    assert "The database does not answer" in text
    assert "db.internal" not in text


def test_signing_in_says_so(cast: Cast) -> None:
    browser = Browser(raise_request_exception=False)
    with away():
        answer = browser.post("/sign-in", {"email": "alice@example.com", "password": "x" * 12})
    assert answer.status_code == 503


def test_a_fault_in_a_query_stays_a_500(api: Api) -> None:
    def broken(*_: Any) -> Any:
        error = OperationalError("no such table: x")
        error.__cause__ = sqlite3.OperationalError("no such table: x")
        raise error

    alice = api.alice
    with connection.execute_wrapper(broken):
        problem(alice.get("/crews"), 500, "internal")


def _sqlite(code: int) -> OperationalError:
    error, cause = OperationalError("x"), sqlite3.OperationalError("x")
    cause.sqlite_errorcode = code
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InterfaceError("connection already closed"), True),
        (OperationalError("connection refused"), True),
        (_sqlite(sqlite3.SQLITE_BUSY), True),
        (_sqlite(sqlite3.SQLITE_IOERR_READ), True),
        (_sqlite(sqlite3.SQLITE_FULL), True),
        (_sqlite(sqlite3.SQLITE_ERROR), False),
        (DatabaseError("syntax"), False),
        (ValueError("x"), False),
        (None, False),
    ],
)
def test_which_errors_are_an_outage(error: BaseException | None, expected: bool) -> None:
    assert is_away(error) is expected


def test_an_outage_is_one_line_of_the_log() -> None:
    error = OperationalError("refused")
    trace = (OperationalError, error, None)
    record = logging.LogRecord("django.request", 40, "x", 1, "Error: %s", ("/w",), trace)
    assert OutageFilter().filter(record)
    assert record.getMessage() == "Error: /w: the database does not answer: refused"
    assert record.exc_info is None


@pytest.mark.postgres
def test_a_stopped_server_is_503_and_a_started_one_answers(
    postgres_server: PostgresServer, postgres_db: str
) -> None:
    from tests.cast import make_cast

    alice = Api(make_cast()).alice
    browser = Browser(raise_request_exception=False)
    assert alice.get("/crews").status_code == 200
    postgres_server.stop()
    try:
        unavailable(alice.get("/crews"))
        assert browser.get("/sign-in").status_code in {200, 503}
        ready = browser.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["database"] is False
    finally:
        postgres_server.start()
        close_connection()
    assert alice.get("/crews").status_code == 200
