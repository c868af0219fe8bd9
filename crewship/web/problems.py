"""Problem Details (RFC 9457) for every 4xx and 5xx below /api: one body shape, one status table."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from crewship.domain import errors
from crewship.web.database import DatabaseUnavailable, is_away
from crewship.web.requests import current_request_id, shortened, without_tokens

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# The first class that fits gives the status; subclasses stand before their bases.
STATUS_OF: tuple[tuple[type[errors.CrewshipError], int], ...] = (
    (errors.NotFound, 404),
    (errors.Gone, 410),
    (errors.Forbidden, 403),
    (errors.Conflict, 409),
    (errors.CapacityExceeded, 429),
    (errors.Unavailable, 503),
    (errors.EngineError, 503),
    (errors.RegistryError, 502),
    (errors.ConfigError, 400),
)

CODE_OF_STATUS = {
    400: "bad_request",
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    415: "unsupported_media_type",
    429: "throttled",
    500: "internal",
    503: "unavailable",
}

# What to do about a status that the framework, not one of our errors, gave.
HINT_OF_CODE = {
    "not_authenticated": "Send `Authorization: Bearer crs_…` with a live token, or sign in.",
    "forbidden": "Ask somebody whose role allows it, or use a token with a stronger role.",
    "not_found": "Look for the route in /api/v1/schema; none has a trailing slash.",
    "method_not_allowed": "Use a method that the Allow header names.",
    "not_acceptable": "Accept application/json (or what /api/v1/schema says of the route).",
    "too_large": "Send less: a body has at most 2 MB, a config text 100 KB.",
    "unsupported_media_type": "Send JSON, with `Content-Type: application/json`.",
    "malformed_json": "Send JSON as RFC 8259 has it: no NaN, no key twice, UTF-8.",
    "invalid": "Correct the fields in `errors`; /api/v1/schema says what each may be.",
    "bad_request": "Look at the address, the Host header and the headers' sizes.",
    "throttled": "Wait for the seconds of Retry-After, then go on more slowly.",
}


def problem_body(
    status: int,
    code: str,
    detail: str,
    instance: str,
    hint: str = "",
    extra: Mapping[str, Any] | None = None,  # Any: JSON extension members
) -> dict[str, Any]:
    """The members of RFC 9457, then ``code``, ``hint`` and the extension members. A token that
    stood in the address is neither in ``instance`` nor in ``detail``."""
    body: dict[str, Any] = {
        "type": f"urn:crewship:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": without_tokens(detail),
        "instance": without_tokens(instance),
        "code": code,
    }
    if hint:
        body["hint"] = hint
    body.update(extra or {})
    return body


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's hook: every exception of a view becomes a problem; unknown ones a silent 500.

    "Silent" towards the caller: the log has the trace under the request id.
    """
    set_rollback()
    instance = context["request"].path
    if is_away(exc):
        log.warning("the database does not answer at %s: %s", shortened(instance), exc)
        exc = DatabaseUnavailable()
    if isinstance(exc, errors.CrewshipError):
        return _of_ours(exc, instance)
    if isinstance(exc, Http404):
        exc = exceptions.NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, exceptions.APIException):
        return _of_drf(exc, instance)
    log.error("unexpected error at %s", shortened(instance), exc_info=exc)
    return _response(
        problem_body(
            500,
            "internal",
            "Something went wrong on our side.",
            instance,
            hint="Give the operator the request_id.",
            extra={"request_id": current_request_id()},
        )
    )


def status_of(exc: errors.CrewshipError) -> int:
    return next((status for cls, status in STATUS_OF if isinstance(exc, cls)), 500)


def _of_ours(exc: errors.CrewshipError, instance: str) -> Response:
    status = status_of(exc)
    if status >= 500:
        log.warning("%s at %s: %s", exc.error_code, shortened(instance), exc.message)
    response = _response(
        problem_body(
            status, exc.error_code, exc.message, instance, hint=exc.error_hint, extra=exc.extra
        )
    )
    if isinstance(exc, errors.CapacityExceeded | DatabaseUnavailable):
        response["Retry-After"] = str(exc.retry_after_s)
    return response


def problem_response(exc: DatabaseUnavailable, instance: str) -> HttpResponse:
    """The same problem for what no view of the API answers."""
    body = problem_body(503, exc.error_code, exc.message, instance, hint=exc.error_hint)
    response = JsonResponse(body, status=503, content_type=MEDIA_TYPE)
    response["Retry-After"] = str(exc.retry_after_s)
    return response


def _of_drf(exc: exceptions.APIException, instance: str) -> Response:
    status = exc.status_code
    extra: dict[str, Any] = {}
    if isinstance(exc, exceptions.ValidationError):
        code, detail = "invalid", "Some fields are not right."
        extra["errors"] = list(_field_errors(exc.get_full_details()))
        if extra["errors"]:
            first = extra["errors"][:3]
            detail = "; ".join(": ".join(filter(None, (e["path"], e["message"]))) for e in first)
    else:
        code = CODE_OF_STATUS.get(status, "error")
        codes = exc.get_codes()
        detail = str(exc.detail)
        if isinstance(codes, str) and isinstance(exc, exceptions.ParseError):
            code = "malformed_json"
            extra["errors"] = [{"path": "", "code": code, "message": detail}]
    hint = HINT_OF_CODE.get(code, "")
    response = _response(problem_body(status, code, detail, instance, hint=hint, extra=extra))
    header = getattr(exc, "auth_header", None)
    if header:
        response["WWW-Authenticate"] = header
    wait = getattr(exc, "wait", None)
    if wait is not None:
        response["Retry-After"] = str(max(1, math.ceil(wait)))
    return response


def _field_errors(details: Any, path: str = "") -> Any:  # Any: DRF's nested error structure
    if isinstance(details, Mapping) and {"message", "code"} <= set(details):
        yield {"path": path, "code": details["code"], "message": str(details["message"])}
    elif isinstance(details, Mapping):
        for key, value in details.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _field_errors(value, ".".join(p for p in (path, name) if p))
    elif isinstance(details, list):
        for value in details:
            yield from _field_errors(value, path)


def _response(body: dict[str, Any]) -> Response:
    return Response(body, status=body["status"], content_type=MEDIA_TYPE)


class ProblemMiddleware:
    """Errors below /api that no view made (bad Host, too large a body, a crash in a middleware,
    the debug page) are problems too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not request.path.startswith("/api/") or response.status_code < 400:
            return response
        if response.get("Content-Type", "").startswith(MEDIA_TYPE):
            return response
        return self._problem(request, response)

    def _problem(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        status = response.status_code
        code = CODE_OF_STATUS.get(status, "error")
        extra = {"request_id": current_request_id()} if status >= 500 else {}
        detail = HTTPStatus(status).description or HTTPStatus(status).phrase
        made = JsonResponse(
            problem_body(status, code, detail, request.path, HINT_OF_CODE.get(code, ""), extra),
            status=status,
            content_type=MEDIA_TYPE,
        )
        for name in ("Retry-After", "WWW-Authenticate", "Allow"):
            if name in response:
                made[name] = response[name]
        return made
