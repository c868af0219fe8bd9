"""A request id for every request: in the answer's header, the log and the body of a 500; and a
log without tokens."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse
from ulid import ULID

_current: ContextVar[str] = ContextVar("request_id", default="-")
_SANE = re.compile(r"[A-Za-z0-9_-]{8,64}")
_TOKEN = re.compile(r"crs_[A-Za-z0-9_-]+")


def current_request_id() -> str:
    """The id of the request being served here, ``-`` outside of one."""
    return _current.get()


class RequestIdMiddleware:
    """Every request has an id: the caller's ``X-Request-ID`` when it is sane, else a new one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _SANE.fullmatch(given) else f"req_{ULID()}"
        token = _current.set(request_id)
        try:
            response = self.get_response(request)
        finally:
            _current.reset(token)
        response["X-Request-ID"] = request_id
        return response


def without_tokens(text: str) -> str:
    """``text`` with ``crs_***`` for every API token in it: people paste them into addresses."""
    return _TOKEN.sub("crs_***", text)


class RequestIdFilter(logging.Filter):
    """Log records carry ``request_id``."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id()
        return True


class TokenlessFormatter(logging.Formatter):
    """No line of the log has an API token, neither in its message nor in a trace."""

    def format(self, record: logging.LogRecord) -> str:
        return without_tokens(super().format(record))
