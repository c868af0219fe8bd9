"""Whether the server answers: what an open page asks before it leaves for a request's answer."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache


@never_cache
def ping(request: HttpRequest) -> HttpResponse:
    """204, a status that no proxy gives by itself. It reads nothing and needs no sign-in."""
    return HttpResponse(status=204)
