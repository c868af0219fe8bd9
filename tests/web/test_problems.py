"""Every error below /api is Problem Details, whoever made it, with DEBUG on and off."""

from __future__ import annotations

import logging
import logging.config
from typing import Any

import pytest
from rest_framework.test import APIClient

from crewship.domain import errors
from crewship.web.problems import STATUS_OF
from crewship.web.requests import RequestIdFilter
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem

SECRET = "postgres://user:hunter2@db/prod"


@pytest.fixture(params=[False, True], ids=["debug-off", "debug-on"])
def debug(request: pytest.FixtureRequest, settings: Any) -> bool:
    settings.DEBUG = request.param
    return bool(request.param)


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/crews/", "/crews/crw_x/nothing", "/", "/crews//provision", "/Crews", "/x%0Ay"],
)
def test_an_unknown_route_is_401_first_and_404_then(path: str, api: Api, debug: bool) -> None:
    problem(api.nobody.get(path), 401, "not_authenticated")
    problem(api.vera.get(path), 404, "not_found")


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_an_unknown_route_is_404_for_every_method(method: str, api: Api) -> None:
    problem(getattr(api.alice, method)("/nothing"), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("put", "/crews"),
        ("delete", "/crews"),
        ("post", "/crews/{crew}"),
        ("delete", "/crews/{crew}/provision"),
        ("get", "/crews/{crew}/rebuild"),
        ("get", "/crews/{crew}/provision/cancel"),
        ("post", "/cache/images"),
        ("get", "/cache/images/crewship-cache:0123456789ab"),
        ("patch", "/jobs/job_x"),
    ],
)
def test_another_method_is_405(method: str, path: str, api: Api, cast: Cast, debug: bool) -> None:
    route = path.format(crew=cast.crew.pk)
    problem(getattr(api.nobody, method)(route), 401)
    answer = getattr(api.alice, method)(route)
    if path != "/jobs/job_x":  # nobody's job: that is seen first
        problem(answer, 405, "method_not_allowed")
        assert answer["Allow"]
    else:
        problem(answer, 404)


def test_an_answer_that_nobody_takes_is_406(api: Api, debug: bool) -> None:
    problem(api.alice.get("/crews", headers={"Accept": "text/csv"}), 406, "not_acceptable")


def test_a_format_in_the_query_is_no_error(api: Api) -> None:
    assert api.alice.get("/crews?format=json").status_code == 200
    problem(api.alice.get("/crews?format=xml"), 404)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_a_body_that_is_no_json_is_415(kind: str, api: Api, debug: bool) -> None:
    answer = api.alice.generic("POST", "/crews", "name=x&slug=yy", kind)
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": -Infinity}',
        b'{"name": 1e999}',
        b'{"name": -1e999}',
        b'{"name": "a", "name": "b"}',
        b'{"x": {"a": 1, "a": 2}}',
        b'{"name": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"name": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5000,
        b'{"a": 1}{"b": 2}',
        b"{'a': 1}",
        b'{"a": "\x00"}',
        b'{"a": "\n"}',
        b'{"a": 01}',
    ],
)
def test_a_malformed_body_is_400(text: bytes, api: Api) -> None:
    answer = api.alice.raw("/crews", text, "application/json")
    problem(answer, 400)


@pytest.mark.parametrize("text", [b'{"name": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000, b"{"])
def test_a_malformed_body_has_its_code(text: bytes, api: Api, debug: bool) -> None:
    answer = api.alice.raw("/crews", text, "application/json")
    problem(answer, 400, "malformed_json")


@pytest.mark.parametrize("text", [b"[]", b"null", b"1"])
def test_a_body_that_is_no_object_is_said_without_a_path(text: bytes, api: Api) -> None:
    body = problem(api.alice.raw("/crews", text, "application/json"), 400, "invalid")
    assert body["detail"][0].isalpha()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/crews/crw_x", "crew_not_found"),
        ("/crews/{crew}/agents/agt_x", "agent_not_found"),
        ("/cache/images/crewship-cache:0123456789ab", "image_not_cached"),
    ],
)
@pytest.mark.usefixtures("host")
def test_what_is_not_there_has_a_hint(path: str, code: str, api: Api, cast: Cast) -> None:
    body = problem(api.alice.delete(path.format(crew=cast.crew.pk)), 404, code)
    assert body["hint"].startswith("List the ")


def test_a_malformed_body_is_seen_after_the_role(api: Api) -> None:
    problem(api.vera.raw("/crews", b"{", "application/json"), 403)


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def boom(*_args: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("provisioning.api.views.provision_status", boom)


def test_a_crash_is_500_without_internals(
    api: Api, cast: Cast, crash: None, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    answer = api.vera.get(f"/crews/{cast.crew.pk}/provision")
    body = problem(answer, 500, "internal")
    assert body["request_id"] == answer["X-Request-ID"]
    assert body["request_id"].startswith("req_")
    text = answer.content.decode()
    assert SECRET not in text
    assert "RuntimeError" not in text
    assert "Traceback" not in text


def test_the_log_of_a_crash_has_the_request_id(
    api: Api, cast: Cast, crash: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(RequestIdFilter())
    answer = api.vera.get(f"/crews/{cast.crew.pk}/provision")
    ids = {getattr(record, "request_id", "") for record in caplog.records if record.exc_info}
    assert ids == {answer.json()["request_id"]}
    assert SECRET in caplog.text


def test_a_crash_outside_of_views_is_500_too(
    api: Api, monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    def boom(*_args: object) -> None:
        raise RuntimeError(SECRET)

    middleware = "django.contrib.messages.middleware.MessageMiddleware.process_request"
    monkeypatch.setattr(middleware, boom)
    answer = api.vera.get("/crews")
    body = problem(answer, 500, "internal")
    assert body["request_id"] == answer["X-Request-ID"]
    assert SECRET not in answer.content.decode()


def test_a_bad_host_is_400(api: Api, debug: bool) -> None:
    problem(api.vera.get("/crews", headers={"Host": "evil.example"}), 400)


def test_too_large_a_body_is_refused(api: Api, settings: Any, debug: bool) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = b'{"name": "x", "slug": "xy", "devcontainer_config": "' + b" " * 2000 + b'"}'
    answer = api.alice.raw("/crews", body, "application/json")
    problem(answer, answer.status_code)
    assert answer.status_code in {400, 413}


def test_a_session_without_csrf_token_is_403(cast: Cast) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(cast.alice.user)
    assert client.get("/api/v1/crews").status_code == 200
    answer = client.post("/api/v1/crews", {"name": "New", "slug": "new"})
    problem(answer, 403)


def test_a_sane_request_id_is_kept(api: Api) -> None:
    answer = api.vera.get("/crews", headers={"X-Request-ID": "trace-0123456789"})
    assert answer["X-Request-ID"] == "trace-0123456789"


@pytest.mark.parametrize("given", ["short", "a" * 65, "with space in it", "<script>alert(1)"])
def test_another_request_id_is_replaced(given: str, api: Api) -> None:
    answer = api.vera.get("/crews", headers={"X-Request-ID": given})
    assert answer["X-Request-ID"].startswith("req_")


def test_the_paths_in_problems_are_the_requests(api: Api) -> None:
    assert problem(api.vera.get("/nothing"), 404)["instance"] == "/api/v1/nothing"


def test_each_class_of_error_has_a_status() -> None:
    """Only the root and what never reaches a client may fall through to 500."""
    fall_through = {
        cls.__name__
        for cls in errors.CrewshipError.__subclasses__()
        if not any(issubclass(cls, known) for known, _ in STATUS_OF)
        and not cls.__module__.startswith("crewship.cli.")  # these are printed, not answered
    }
    assert fall_through <= {"BuildCancelled", "WorkerLost", "SettingsError"}


def test_problems_are_logged_at_most_as_warnings(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.vera.get("/nothing")
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "code"),
    [
        ("get", "/nothing", None, None, "not_found"),
        ("delete", "/crews", None, None, "method_not_allowed"),
        ("post", "/crews", b"x", "text/plain", "unsupported_media_type"),
        ("post", "/crews", b"{", "application/json", "malformed_json"),
        ("post", "/crews", b"{}", "application/json", "invalid"),
        ("post", "/crews", b" " * 2_000_001, "application/json", "too_large"),
    ],
)
def test_every_refusal_says_what_to_do(
    method: str, path: str, body: bytes | None, content_type: str | None, code: str, api: Api
) -> None:
    if body is None:
        answer = getattr(api.alice, method)(path)
    else:
        answer = api.alice.raw(path, body, content_type or "")
    found = answer.json()
    assert (found["code"], bool(found["hint"])) == (code, True)


def test_so_do_those_for_who_asks_and_what_for(api: Api) -> None:
    for answer, code in (
        (api.nobody.get("/crews"), "not_authenticated"),
        (api.vera.post("/crews", {"name": "x", "slug": "xx"}), "forbidden"),
        (api.vera.get("/crews", headers={"Accept": "text/csv"}), "not_acceptable"),
    ):
        assert (answer.json()["code"], bool(answer.json()["hint"])) == (code, True)


@pytest.mark.parametrize("path", ["/crews/{token}", "/nothing/{token}", "/crews/{token}/agents"])
def test_a_token_in_the_address_is_neither_answered_nor_logged(
    path: str, api: Api, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    line = settings.LOGGING["formatters"]["line"]
    caplog.handler.setFormatter(logging.config.DictConfigurator({}).configure_formatter(line))
    caplog.handler.addFilter(RequestIdFilter())
    for client in (api.nobody, api.vera):
        answer = client.get(path.format(token="crs_Ab-9_zzzz"))
        body = problem(answer, answer.status_code)
        assert body["instance"] == "/api/v1" + path.format(token="crs_***")
        assert "zzzz" not in answer.content.decode()
    assert "crs_***" in caplog.text
    assert "zzzz" not in caplog.text
