"""What a request gets while the database is away: 503, as a problem or as a page, never a crash.

Views of the API raise into ``problems.exception_handler``. Everywhere else (sessions, middleware,
pages, the admin) Django turns the error into its 500, and tells by a signal what it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from crewship.web.database import DatabaseUnavailable, is_away
from crewship.web.problems import problem_response

_MARK = "_database_is_away"


def _mark_request(request: HttpRequest | None = None, **_: Any) -> None:  # Any: the signal's
    if request is not None and is_away(sys.exc_info()[1]):
        setattr(request, _MARK, True)


got_request_exception.connect(_mark_request)


class OutageMiddleware:
    """Outside of all that reads the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != 500 or not getattr(request, _MARK, False):
            return response
        error = DatabaseUnavailable()
        if request.path.startswith("/api/"):
            return problem_response(error, request.path)
        # Without the request: its context processors would ask for the user and his messages.
        answer = HttpResponse(render_to_string("503.html"), status=503)
        answer["Retry-After"] = str(error.retry_after_s)
        answer["Cache-Control"] = "no-store"
        return answer
