"""Who acts, and through what: known to the services without being passed along.

A request's middleware says it; token authentication adds the token. Outside of requests it is the
system, unless a command says otherwise with ``acting_via``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.db import models
from django.http import HttpRequest, HttpResponse

from crewship.workspaces.models import ApiToken, User


class Via(models.TextChoices):
    API = "api"
    DASHBOARD = "dashboard"
    ADMIN = "admin"
    COMMAND = "cli-manage"
    SYSTEM = "system"


@dataclass(slots=True)
class Acting:
    """One request (or command) that acts. The session's user is looked up only when asked for."""

    via: Via = Via.SYSTEM
    request: HttpRequest | None = None
    token: ApiToken | None = None

    @property
    def user(self) -> User | None:
        if self.token is not None:
            return self.token.user
        user = getattr(self.request, "user", None)
        return user if isinstance(user, User) else None


_acting: ContextVar[Acting] = ContextVar("acting")


def who_acts() -> Acting:
    return _acting.get(None) or Acting()


def acts_with(token: ApiToken) -> None:
    """The request that is being served came with this token."""
    acting = _acting.get(None)
    if acting is not None:
        acting.token = token


@contextmanager
def acting_via(via: Via, request: HttpRequest | None = None) -> Iterator[None]:
    reset = _acting.set(Acting(via, request))
    try:
        yield
    finally:
        _acting.reset(reset)


class ActorMiddleware:
    """After Django's AuthenticationMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        via = Via.DASHBOARD
        if request.path.startswith("/api/"):
            via = Via.API
        elif request.path.startswith("/admin/"):
            via = Via.ADMIN
        with acting_via(via, request):
            return self.get_response(request)
