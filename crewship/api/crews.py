"""Crews: list, create, read, change, delete."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from crewship.api.ignored import ignored_fields
from crewship.api.serializers import CrewInput, CrewOutput, DeletionQuery, SavedCrewOutput
from crewship.crews.models import Crew
from crewship.crews.scope import CrewViewSet
from crewship.domain.errors import Problem
from crewship.domain.roles import Action
from crewship.web.pagination import NewestFirst
from crewship.web.schema import WORKSPACE_PARAMETERS, problems
from provisioning.agents.removals import await_removal
from provisioning.authoring import Saved, save_crew
from provisioning.deletion import Volumes, delete_crew
from provisioning.selectors import short_statuses

KNOWN = frozenset({*CrewInput().fields, *SavedCrewOutput.Meta.fields})


@extend_schema(tags=["crews"], parameters=WORKSPACE_PARAMETERS)
class CrewsViewSet(CrewViewSet):
    pagination_class = NewestFirst  # the schema reads it
    actions = {
        "list": Action.READ,
        "create": Action.CREATE,
        "retrieve": Action.READ,
        "partial_update": Action.UPDATE,
        "destroy": Action.DELETE,
    }

    @extend_schema(
        operation_id="crews_list",
        parameters=[OpenApiParameter("slug", str, description="Only the crew with this slug.")],
        responses={200: CrewOutput(many=True), **problems(400, 404)},
    )
    def list(self, request: Request) -> Response:
        """The workspace's crews, newest first."""
        paginator = NewestFirst()
        crews = Crew.objects.filter(workspace=self.scope.workspace)
        slug = request.query_params.get("slug")
        if slug is not None:
            crews = crews.filter(slug=slug) if "\0" not in slug else crews.none()
        page = paginator.paginate_queryset(crews, request, view=self) or []
        return paginator.get_paginated_response(_output(page, many=True))

    @extend_schema(
        request=CrewInput, responses={201: SavedCrewOutput, **problems(400, 403, 404, 415)}
    )
    def create(self, request: Request) -> Response:
        """A new crew; its texts are checked as a whole, all problems are answered at once. With
        ``auto_provision`` it is provisioned; if that was refused, ``warnings`` says why."""
        body = CrewInput(data=request.data)
        body.is_valid(raise_exception=True)
        saved = save_crew(self.scope.workspace, body.validated_data, actor=self.scope.user)
        return Response(saved_crew(saved, ignored_fields(request.data, KNOWN)), status=201)

    @extend_schema(responses={200: CrewOutput, **problems(400, 404)})
    def retrieve(self, request: Request, crew_id: str) -> Response:
        return Response(_output([self.crew])[0])

    @extend_schema(
        request=CrewInput(partial=True),
        responses={200: SavedCrewOutput, **problems(400, 403, 404, 415)},
    )
    def partial_update(self, request: Request, crew_id: str) -> Response:
        """Change some fields; a config whose meaning changes empties ``cached_image``. With
        ``auto_provision`` it is then provisioned, and a job of the former config is cancelled."""
        body = CrewInput(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        saved = save_crew(self.crew, body.validated_data, actor=self.scope.user)
        return Response(saved_crew(saved, ignored_fields(request.data, KNOWN)))

    @extend_schema(
        parameters=[DeletionQuery], responses={204: None, **problems(400, 403, 404, 409)}
    )
    def destroy(self, request: Request, crew_id: str) -> Response:
        """Delete the crew; an active job is cancelled, its agents' containers are stopped and
        removed (on a host that is away, when it is back). While there are volumes with agents'
        data, ``volumes`` has to say what becomes of them."""
        query = DeletionQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        said = query.validated_data.get("volumes")
        delete_crew(self.crew, volumes=Volumes(said) if said else None)
        await_removal(self.crew.pk)
        return Response(status=204)


def _output(crews: list[Crew], many: bool = True) -> Any:  # Any: serialized data
    return CrewOutput(crews, many=many, context={"statuses": short_statuses(crews)}).data


def saved_crew(saved: Saved, more: tuple[Problem, ...] = ()) -> dict[str, Any]:  # Any: JSON
    """As SavedCrewOutput, with ``more`` after the warnings of the crew itself."""
    warnings = [warning.as_dict() for warning in (*saved.warnings, *more)]
    return {**_output([saved.crew])[0], "warnings": warnings}
