from __future__ import annotations

import logging
import logging.config
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.test import Client

from crewship.web.refusals import RefusedStrangers
from tests.cast import Cast
from tests.conftest import Api


class Later:
    """What is to be done in a minute, done when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Callable[[], None]] = []

    def __call__(self, say: Callable[[], None]) -> None:
        self.asked.append(say)

    def come(self) -> None:
        asked, self.asked = self.asked, []
        for say in asked:
            say()


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def written(later: Later, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The lines of the log, as the filter of the settings lets them through."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Handler()
    handler.addFilter(RefusedStrangers(later))
    root = logging.getLogger()
    root.addHandler(handler)
    yield lines
    root.removeHandler(handler)


def record(name: str = "django.request", status: int = 404, **more: object) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, __file__, 1, "%s", ("/x",), None)
    made.__dict__.update(status_code=status, **more)
    return made


def request_of(user: object) -> HttpRequest:
    request = HttpRequest()
    request.user = user  # type: ignore[assignment]
    return request


def test_strangers_are_counted_and_said_in_one_line(written: list[str], later: Later) -> None:
    for _ in range(3):
        Client().get("/nothing")
    assert written == []
    later.come()
    assert written == ["3 requests without an account refused in the last minute (404: 3)"]


@pytest.mark.django_db
def test_each_status_has_its_number(written: list[str], later: Later, api: Api) -> None:
    api.nobody.get("/me")
    Client().get("/nothing")
    later.come()
    assert written == ["2 requests without an account refused in the last minute (401: 1, 404: 1)"]


def test_the_next_minute_begins_at_nothing(written: list[str], later: Later) -> None:
    Client().get("/nothing")
    later.come()
    Client().get("/nothing")
    later.come()
    assert written == ["1 request without an account refused in the last minute (404: 1)"] * 2


def test_a_minute_without_a_refusal_says_nothing(written: list[str], later: Later) -> None:
    RefusedStrangers(later).say()
    assert written == []


@pytest.mark.django_db
def test_a_members_refusal_is_a_line_of_its_own(written: list[str], api: Api) -> None:
    api.alice.get("/nothing")
    assert written == ["Not Found: /api/v1/nothing"]


@pytest.mark.django_db
def test_a_signed_in_persons_refusal_is_a_line_of_its_own(written: list[str], cast: Cast) -> None:
    client = Client()
    client.force_login(cast.person("alice").user)
    client.get("/w/no-such-workspace/")
    assert written == ["Not Found: /w/no-such-workspace/"]


def test_a_wrong_host_is_counted(written: list[str], later: Later) -> None:
    Client().get("/", headers={"host": "evil.example"})
    assert written == []
    assert later.asked


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 429])
def test_every_refusal_of_a_stranger_is_dropped(later: Later, status: int) -> None:
    request = request_of(AnonymousUser())
    assert RefusedStrangers(later).filter(record(status=status, request=request)) is False


def test_a_fault_of_ours_is_never_dropped(later: Later) -> None:
    assert RefusedStrangers(later).filter(record(status=500, request=HttpRequest())) is True


def test_bytes_that_are_no_request_are_counted(later: Later) -> None:
    made = logging.LogRecord(
        "uvicorn.error", logging.WARNING, __file__, 1, "Invalid HTTP request received.", (), None
    )
    assert RefusedStrangers(later).filter(made) is False


def test_what_else_uvicorn_says_stays(later: Later) -> None:
    made = logging.LogRecord(
        "uvicorn.error", logging.ERROR, __file__, 1, "Exception in ASGI application", (), None
    )
    assert RefusedStrangers(later).filter(made) is True


def test_the_settings_put_it_in_front_of_the_log() -> None:
    config: Any = settings.LOGGING
    assert config["handlers"]["stderr"]["filters"][0] == "refused"
    assert config["loggers"]["uvicorn.error"]["filters"] == ["refused"]
