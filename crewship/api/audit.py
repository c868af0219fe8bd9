"""The workspace's audit trail: who did what to what, newest first."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crewship.domain.roles import Action
from crewship.web.pagination import NewestFirst
from crewship.web.schema import WORKSPACE_PARAMETERS, problems
from crewship.workspaces.actor import Via
from crewship.workspaces.audit import AuditAction, trail_of
from crewship.workspaces.models import AuditEvent
from crewship.workspaces.views import WorkspaceViewSet


class AuditTargetOutput(serializers.Serializer[Any]):
    type = serializers.CharField(help_text="`crew`, `agent`, `image`, `member`, `token`, …")
    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a Field has one, too


class AuditEventOutput(serializers.ModelSerializer[AuditEvent]):
    actor = serializers.CharField(
        source="actor_label", help_text="Email of then; empty: nobody was signed in."
    )
    token = serializers.CharField(source="token_name", help_text="Name of the token, if any.")
    via = serializers.ChoiceField(choices=Via.choices)
    action = serializers.ChoiceField(choices=AuditAction.choices)
    target = serializers.SerializerMethodField()
    data = serializers.DictField(  # type: ignore[assignment]  # the metaclass takes it away
        help_text="Names of fields, hashes, roles; no secret."
    )

    class Meta:
        model = AuditEvent
        fields = ["id", "at", "actor", "token", "via", "action", "target", "data", "request_id"]

    @extend_schema_field(AuditTargetOutput)
    def get_target(self, event: AuditEvent) -> dict[str, str]:
        return {"type": event.target_type, "id": event.target_id, "label": event.target_label}


FILTERS = [
    OpenApiParameter("action", str, description="`crew.created`, or all of a kind: `crew`."),
    OpenApiParameter("target", str, description="Type or id of what it was done to."),
    OpenApiParameter("actor", str, description="The actor's email."),
]


@extend_schema(tags=["workspaces"], parameters=WORKSPACE_PARAMETERS)
class AuditViewSet(WorkspaceViewSet):
    pagination_class = NewestFirst  # the schema reads it
    actions = {"list": Action.MANAGE}

    @extend_schema(
        operation_id="audit_list",
        parameters=FILTERS,
        responses={200: AuditEventOutput(many=True), **problems(400, 403, 404)},
    )
    def list(self, request: Request) -> Response:
        """What was done in the workspace, and its members' sign-ins and changed passwords,
        newest first. A filter that fits nothing is an empty list."""
        paginator = NewestFirst()
        page = paginator.paginate_queryset(self._events(request), request, view=self)
        return paginator.get_paginated_response(AuditEventOutput(page, many=True).data)

    def _events(self, request: Request) -> QuerySet[AuditEvent]:
        events = trail_of(self.scope.workspace)
        asked = {name: request.query_params.get(name, "") for name in ("action", "target", "actor")}
        if any("\0" in value for value in asked.values()):  # PostgreSQL takes none
            return events.none()
        if action := asked["action"]:
            events = events.filter(Q(action=action) | Q(action__startswith=f"{action}."))
        if target := asked["target"]:
            events = events.filter(Q(target_id=target) | Q(target_type=target))
        if actor := asked["actor"]:
            events = events.filter(actor_label__iexact=actor)
        return events
