"""A request id for every request: in the answer's header, the log and the body of a 500; and a
log without tokens and without long lines."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse
from ulid import ULID

_current: ContextVar[str] = ContextVar("request_id", default="-")
_SANE = re.compile(r"[A-Za-z0-9_-]{8,64}")
_TOKEN = re.compile(r"crs_[A-Za-z0-9_-]+")
LONGEST_PATH = 500  # characters of an address in the log
LONGEST_LINE = 4_000  # characters
LONGEST_RECORD = 64_000  # characters, with its trace


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


def shortened(text: str, most: int = LONGEST_PATH) -> str:
    """The first ``most`` characters, and how many there were when that is not all."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


class TokenlessFormatter(logging.Formatter):
    """No record has an API token, neither in its message nor in a trace, and none is long: what a
    request sent must not fill the disk."""

    def format(self, record: logging.LogRecord) -> str:
        text = without_tokens(super().format(_with_short_path(record)))
        lines = text[:LONGEST_RECORD].split("\n")
        return "\n".join(shortened(line, LONGEST_LINE) for line in lines)


def _with_short_path(record: logging.LogRecord) -> logging.LogRecord:
    """Django's records about a request have its path among their arguments."""
    if not record.name.startswith("django.") or not isinstance(record.args, tuple):
        return record
    record = copy.copy(record)
    record.args = tuple(shortened(a) if isinstance(a, str) else a for a in record.args or ())
    return record
