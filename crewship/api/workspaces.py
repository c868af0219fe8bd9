"""The workspaces that the caller reaches."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crewship.web.pagination import NewestFirst
from crewship.web.schema import problems
from crewship.workspaces.models import ROLE_CHOICES, Membership
from crewship.workspaces.scope import memberships_of, role_in
from crewship.workspaces.views import AuthenticatedViewSet


class WorkspaceOutput(serializers.ModelSerializer[Membership]):
    """A workspace as one of its members sees it; the context has the request."""

    id = serializers.CharField(source="workspace.id")
    slug = serializers.CharField(source="workspace.slug")
    name = serializers.CharField(source="workspace.name")
    role = serializers.SerializerMethodField(help_text="The caller's; never above the token's.")
    created_at = serializers.DateTimeField(source="workspace.created_at")

    class Meta:
        model = Membership
        fields = ["id", "slug", "name", "role", "created_at"]

    @extend_schema_field(serializers.ChoiceField(choices=ROLE_CHOICES))
    def get_role(self, membership: Membership) -> str:
        return role_in(membership, self.context["request"].auth).value


@extend_schema(tags=["workspaces"])
class WorkspacesViewSet(AuthenticatedViewSet):
    pagination_class = NewestFirst  # the schema reads it

    @extend_schema(
        operation_id="workspaces_list",
        responses={200: WorkspaceOutput(many=True), **problems(404)},
    )
    def list(self, request: Request) -> Response:
        """The caller's workspaces, last joined first; a bound token has one. Needs no workspace."""
        paginator = NewestFirst()
        page = paginator.paginate_queryset(memberships_of(request), request, view=self)
        output = WorkspaceOutput(page, many=True, context={"request": request})
        return paginator.get_paginated_response(output.data)
