"""Who is asking: a bearer token or a browser session."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.authentication import SessionAuthentication as DrfSessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from crewship.workspaces.actor import acts_with
from crewship.workspaces.models import ApiToken, User
from crewship.workspaces.tokens import find_token


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer crs_…``; ``request.auth`` is the token."""

    keyword = b"bearer"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != self.keyword:
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("The Authorization header is not `Bearer <token>`.")
        token = find_token(parts[1].decode("latin-1"))
        if token is None:
            raise AuthenticationFailed("The token is unknown, revoked or expired.")
        acts_with(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class SessionAuthentication(DrfSessionAuthentication):
    """Django's session, with CSRF on every unsafe method."""


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "crewship.workspaces.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # Any: spectacular's
        return {"type": "http", "scheme": "bearer", "bearerFormat": "crs_…"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "crewship.workspaces.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # Any: spectacular's
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
