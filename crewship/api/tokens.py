"""The caller's own API tokens, as far as they reach the workspace of the request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crewship.domain.errors import ConfigError, Forbidden, NotFound
from crewship.domain.ids import IdPrefix, is_well_formed
from crewship.domain.roles import Action, Role
from crewship.web.pagination import NewestFirst
from crewship.web.schema import WORKSPACE_PARAMETERS, problems
from crewship.workspaces.models import ROLE_CHOICES, ApiToken
from crewship.workspaces.tokens import make_token, revoke_token
from crewship.workspaces.views import WorkspaceViewSet

MAX_DAYS = 365


class NewTokenInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    role = serializers.ChoiceField(
        choices=ROLE_CHOICES,
        allow_null=True,
        required=False,
        help_text="The most it may do; null: whatever its user or the token that makes it may.",
    )
    bound = serializers.BooleanField(
        default=True, help_text="False: good in all workspaces of its user, not in this one only."
    )
    days = serializers.IntegerField(
        min_value=1,
        max_value=MAX_DAYS,
        required=False,
        help_text="Days until it expires: 90, or what is left of the token that makes it.",
    )


class TokenOutput(serializers.ModelSerializer[ApiToken]):
    workspace_id = serializers.CharField(allow_null=True, help_text="Null: all of its user's.")
    role = serializers.ChoiceField(choices=ROLE_CHOICES, allow_null=True)

    class Meta:
        model = ApiToken
        fields = ["id", "name", "workspace_id", "role", "created_at", "expires_at", "last_used_at"]

    def to_representation(self, instance: ApiToken) -> dict[str, Any]:  # Any: JSON
        return {**super().to_representation(instance), "role": instance.role or None}


class MadeTokenOutput(TokenOutput):
    token = serializers.CharField(help_text="The secret; it is shown this once.")

    class Meta(TokenOutput.Meta):
        fields = [*TokenOutput.Meta.fields, "token"]


@extend_schema(tags=["tokens"], parameters=WORKSPACE_PARAMETERS)
class TokensViewSet(WorkspaceViewSet):
    """Every member makes and revokes his own, so reading is all that a role needs to allow."""

    pagination_class = NewestFirst  # the schema reads it
    actions = {"list": Action.READ, "create": Action.READ, "destroy": Action.READ}
    token: ApiToken

    def load(self, **kwargs: str) -> None:
        token_id = kwargs.get("token_id")
        if token_id is None:
            return
        if not is_well_formed(token_id, IdPrefix.TOKEN):
            raise ConfigError(f"{token_id[:80]!r} is not a token's id.", code="invalid_id")
        found = self._tokens().filter(pk=token_id).first()
        if found is None:
            raise NotFound("There is no such token among yours.", code="token_not_found")
        self.token = found

    def _tokens(self) -> QuerySet[ApiToken]:
        here = Q(workspace=None) | Q(workspace=self.scope.workspace)
        return ApiToken.objects.filter(here, user=self.scope.user, revoked_at=None)

    @extend_schema(
        operation_id="tokens_list", responses={200: TokenOutput(many=True), **problems(400, 404)}
    )
    def list(self, request: Request) -> Response:
        """The caller's tokens that are good for this workspace, newest first, without secrets."""
        paginator = NewestFirst()
        page = paginator.paginate_queryset(self._tokens(), request, view=self)
        return paginator.get_paginated_response(TokenOutput(page, many=True).data)

    @extend_schema(
        request=NewTokenInput, responses={201: MadeTokenOutput, **problems(400, 403, 404, 415)}
    )
    def create(self, request: Request) -> Response:
        """A token of the caller, never stronger, wider or longer-lived than the one that asks."""
        body = NewTokenInput(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        maker = request.auth if isinstance(request.auth, ApiToken) else None
        role = asked.get("role") or (maker.role if maker else "")
        if role and Role(role).rank < self.scope.role.rank:
            raise Forbidden(f"Your role here is {self.scope.role}; a token can't be {role}.")
        token, secret = make_token(
            user=self.scope.user,
            name=asked["name"],
            workspace=self.scope.workspace if asked["bound"] else None,
            role=Role(role) if role else None,
            lifetime=timedelta(days=asked["days"]) if "days" in asked else None,
            made_with=maker,
        )
        return Response({**TokenOutput(token).data, "token": secret}, status=201)

    @extend_schema(responses={204: None, **problems(400, 404)})
    def destroy(self, request: Request, token_id: str) -> Response:
        """Every request with it is refused from now on; also the one that a caller uses."""
        revoke_token(self.token)
        return Response(status=204)
