"""The base of every view that acts in a workspace; it fixes the order of the first checks."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from crewship.domain.roles import Action
from crewship.workspaces.scope import Scope, resolve_scope


class AuthenticatedView(APIView):
    """Throttles before it refuses, so that guessing tokens is slowed too; then 401."""

    permission_classes = [IsAuthenticated]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.format_kwarg = self.get_format_suffix(**kwargs)
        try:
            self.perform_authentication(request)
        except AuthenticationFailed:
            self.check_throttles(_as_anonymous(request))
            raise
        self.check_throttles(request)
        self.check_permissions(request)
        negotiated = self.perform_content_negotiation(request)
        request.accepted_renderer, request.accepted_media_type = negotiated
        versioned = self.determine_version(request, *args, **kwargs)
        request.version, request.versioning_scheme = versioned


def _as_anonymous(request: Request) -> Request:
    """The request as seen without its bad credentials, for the throttle of its address."""
    request.user, request.auth = AnonymousUser(), None
    return request


class AuthenticatedViewSet(AuthenticatedView, ViewSet):
    """Views that need a user but no workspace."""


class WorkspaceViewSet(AuthenticatedViewSet):
    """401, workspace, then ``load()`` (400 malformed id, 404), then 403: CONTRACT.md's order.

    ``actions`` names the role action of each view action; a missing one is a programming error.
    """

    actions: ClassVar[dict[str, Action]] = {}
    scope: Scope

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.scope = resolve_scope(request)
        self.load(**kwargs)
        if self.action == "metadata":  # OPTIONS
            self.scope.require(Action.READ)
        elif self.action is not None:  # None: no such method here, DRF answers 405
            self.scope.require(self.actions[self.action])

    def load(self, **kwargs: str) -> None:
        """Load what the URL names, within ``self.scope.workspace``."""
