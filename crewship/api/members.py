"""Who is in the workspace, and as what."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crewship.domain.errors import ConfigError, NotFound
from crewship.domain.ids import IdPrefix, is_well_formed
from crewship.domain.roles import Action, Role
from crewship.web.pagination import NewestFirst
from crewship.web.schema import WORKSPACE_PARAMETERS, problems
from crewship.workspaces.models import ROLE_CHOICES, Membership
from crewship.workspaces.services import add_member, change_role, remove_member
from crewship.workspaces.views import WorkspaceViewSet


class NewMemberInput(serializers.Serializer[Any]):
    email = serializers.EmailField(help_text="Of a user that exists on this installation.")
    role = serializers.ChoiceField(choices=ROLE_CHOICES, default=Role.MEMBER.value)


class RoleInput(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=ROLE_CHOICES)


class MemberOutput(serializers.ModelSerializer[Membership]):
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name", allow_blank=True)

    class Meta:
        model = Membership
        fields = ["id", "email", "name", "role", "created_at"]


@extend_schema(tags=["members"], parameters=WORKSPACE_PARAMETERS)
class MembersViewSet(WorkspaceViewSet):
    """Nobody grants or changes a role above his own, and the last OWNER stays."""

    pagination_class = NewestFirst  # the schema reads it
    actions = {
        "list": Action.MANAGE,
        "create": Action.MANAGE,
        "partial_update": Action.MANAGE,
        "destroy": Action.MANAGE,
    }
    membership: Membership

    def load(self, **kwargs: str) -> None:
        member_id = kwargs.get("member_id")
        if member_id is None:
            return
        if not is_well_formed(member_id, IdPrefix.MEMBERSHIP):
            raise ConfigError(f"{member_id[:80]!r} is not a member's id.", code="invalid_id")
        members = Membership.objects.filter(workspace=self.scope.workspace)
        found = members.select_related("user").filter(pk=member_id).first()
        if found is None:
            raise NotFound("There is no such member in this workspace.", code="member_not_found")
        self.membership = found

    @extend_schema(
        operation_id="members_list",
        responses={200: MemberOutput(many=True), **problems(400, 403, 404)},
    )
    def list(self, request: Request) -> Response:
        """The workspace's members, last added first."""
        paginator = NewestFirst()
        members = Membership.objects.filter(workspace=self.scope.workspace).select_related("user")
        page = paginator.paginate_queryset(members, request, view=self)
        return paginator.get_paginated_response(MemberOutput(page, many=True).data)

    @extend_schema(
        request=NewMemberInput,
        responses={201: MemberOutput, **problems(400, 403, 404, 409, 415)},
    )
    def create(self, request: Request) -> Response:
        """Take a user of this installation into the workspace; no account is made or changed."""
        body = NewMemberInput(data=request.data)
        body.is_valid(raise_exception=True)
        membership = add_member(
            workspace=self.scope.workspace,
            email=body.validated_data["email"],
            role=Role(body.validated_data["role"]),
            actor_role=self.scope.role,
        )
        return Response(MemberOutput(membership).data, status=201)

    @extend_schema(
        request=RoleInput, responses={200: MemberOutput, **problems(400, 403, 404, 409, 415)}
    )
    def partial_update(self, request: Request, member_id: str) -> Response:
        """Give the member another role; it holds from the next request on."""
        body = RoleInput(data=request.data)
        body.is_valid(raise_exception=True)
        change_role(
            membership=self.membership,
            role=Role(body.validated_data["role"]),
            actor_role=self.scope.role,
        )
        return Response(MemberOutput(self.membership).data)

    @extend_schema(responses={204: None, **problems(400, 403, 404, 409)})
    def destroy(self, request: Request, member_id: str) -> Response:
        """The user leaves the workspace; the account stays."""
        remove_member(membership=self.membership, actor_role=self.scope.role)
        return Response(status=204)
