"""Who the caller is: the one route that also tells a client whether its token is good."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from crewship.api.tokens import TokenOutput
from crewship.api.workspaces import WorkspaceOutput
from crewship.web.schema import problems
from crewship.workspaces.models import ApiToken, User
from crewship.workspaces.scope import memberships_of
from crewship.workspaces.views import AuthenticatedViewSet


class MeOutput(serializers.Serializer[Any]):
    email = serializers.EmailField()
    name = serializers.CharField(allow_blank=True)
    token = TokenOutput(allow_null=True, help_text="What the request came with; null: a session.")
    workspaces = WorkspaceOutput(many=True)


@extend_schema(tags=["me"])
class MeViewSet(AuthenticatedViewSet):
    @extend_schema(responses={200: MeOutput, **problems()})
    def retrieve(self, request: Request) -> Response:
        """The caller, the token in use, and all workspaces that it reaches. Needs no workspace."""
        token = request.auth if isinstance(request.auth, ApiToken) else None
        user = request.user
        if not isinstance(user, User):
            raise NotAuthenticated
        memberships = memberships_of(request).order_by("workspace__slug")
        return Response(
            {
                "email": user.email,
                "name": user.name,
                "token": TokenOutput(token).data if token else None,
                "workspaces": WorkspaceOutput(
                    memberships, many=True, context={"request": request}
                ).data,
            }
        )
