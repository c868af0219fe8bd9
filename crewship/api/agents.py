"""A crew's agents: list, create, read, change, delete, start, stop, logs."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from crewship.api.agent_serializers import AgentInput, AgentOutput, LogQuery, SavedAgentOutput
from crewship.api.ignored import ignored_fields
from crewship.crews.agents import create_agent, update_agent
from crewship.crews.models import Agent, Crew
from crewship.crews.scope import CrewViewSet, find_agent
from crewship.domain.roles import Action, Role, may
from crewship.web.downloads import text_download
from crewship.web.pagination import NewestFirst
from crewship.web.schema import WORKSPACE_PARAMETERS, problems
from crewship.web.sse import TEXT, event_stream
from crewship.workspaces.standing import standing_of
from provisioning.agents.log_feed import AgentLogFeed
from provisioning.agents.removals import await_agent_removal, delete_agent
from provisioning.agents.selectors import agent_log_tail, agent_views
from provisioning.agents.services import start_agent, stop_agent

KNOWN = frozenset({*AgentInput().fields, *SavedAgentOutput().fields})


@extend_schema(tags=["agents"], parameters=WORKSPACE_PARAMETERS)
class AgentsViewSet(CrewViewSet):
    """Secret values go in and never come out. Setting, replacing or dropping one needs the right
    to manage; whoever may update an agent otherwise keeps them by sending ``{"secret": true}``."""

    pagination_class = NewestFirst  # the schema reads it
    actions = {
        "list": Action.READ,
        "create": Action.CREATE,
        "retrieve": Action.READ,
        "partial_update": Action.UPDATE,
        "destroy": Action.DELETE,
        "start": Action.UPDATE,
        "stop": Action.UPDATE,
        "logs": Action.INSPECT,
    }
    agent: Agent

    def load(self, **kwargs: str) -> None:
        super().load(**kwargs)
        if "agent_id" in kwargs:
            self.agent = find_agent(self.crew, kwargs["agent_id"])

    @extend_schema(
        operation_id="crews_agents_list",
        responses={200: AgentOutput(many=True), **problems(400, 404)},
    )
    def list(self, request: Request, crew_id: str) -> Response:
        """The crew's agents, newest first."""
        paginator = NewestFirst()
        agents = Agent.objects.filter(crew=self.crew)
        page = paginator.paginate_queryset(agents, request, view=self) or []
        return paginator.get_paginated_response(_output(self.crew, page, self.scope.role))

    @extend_schema(
        request=AgentInput, responses={201: SavedAgentOutput, **problems(400, 403, 404, 409, 415)}
    )
    def create(self, request: Request, crew_id: str) -> Response:
        """A new agent, stopped; all problems of its fields are answered at once."""
        body = AgentInput(data=request.data)
        body.is_valid(raise_exception=True)
        agent = create_agent(self.crew, body.validated_data, actor_role=self.scope.role)
        return Response(self._saved(agent), status=201)

    @extend_schema(responses={200: AgentOutput, **problems(400, 404)})
    def retrieve(self, request: Request, crew_id: str, agent_id: str) -> Response:
        return Response(self._one(self.agent))

    @extend_schema(
        request=AgentInput(partial=True),
        responses={200: SavedAgentOutput, **problems(400, 403, 404, 415, 503)},
    )
    def partial_update(self, request: Request, crew_id: str, agent_id: str) -> Response:
        """Change some fields, ``env`` as a whole; they take effect at the agent's next start."""
        body = AgentInput(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        agent = update_agent(self.agent, body.validated_data, actor_role=self.scope.role)
        return Response(self._saved(agent))

    @extend_schema(responses={204: None, **problems(400, 403, 404)})
    def destroy(self, request: Request, crew_id: str, agent_id: str) -> Response:
        """Delete the agent; its container is stopped and removed, its crew's volumes stay. On a
        host that is away that happens when it is back."""
        delete_agent(self.agent)
        await_agent_removal(self.agent.pk)
        return Response(status=204)

    @extend_schema(request=None, responses={202: AgentOutput, **problems(400, 403, 404, 409, 503)})
    def start(self, request: Request, crew_id: str, agent_id: str) -> Response:
        """Have it run from now on; a crew without an image is provisioned first. What is wrong
        with that answers as it does there."""
        agent = start_agent(self.agent, self.scope.user)
        return Response(self._one(agent), status=202)

    @extend_schema(request=None, responses={202: AgentOutput, **problems(400, 403, 404)})
    def stop(self, request: Request, crew_id: str, agent_id: str) -> Response:
        """Have it stopped, until it is started again. Idempotent."""
        agent = stop_agent(self.agent)
        return Response(self._one(agent), status=202)

    @extend_schema(
        parameters=[LogQuery],
        responses={(200, "text/plain"): OpenApiTypes.STR, **problems(400, 403, 404)},
    )
    def logs(self, request: Request, crew_id: str, agent_id: str) -> HttpResponseBase:
        """What the agent printed, as far as it is kept. Followed, it goes on until the agent is
        deleted, and counts as one of the caller's event streams."""
        query = LogQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        tail = query.validated_data["tail"]
        if not query.validated_data["follow"]:
            lines = agent_log_tail(self.agent.pk, tail).lines
            return text_download(request._request, lines, f"{self.agent.name}.log")
        return event_stream(
            AgentLogFeed(self.agent.pk, tail),
            user=self.scope.user.pk,
            standing=standing_of(request, self.scope, Action.INSPECT),
            form=TEXT,
        )

    def _one(self, agent: Agent) -> Any:  # Any: serialized data
        return _output(self.crew, [agent], self.scope.role)[0]

    def _saved(self, agent: Agent) -> dict[str, Any]:  # Any: JSON, as SavedAgentOutput
        ignored = ignored_fields(self.request.data, KNOWN)
        warnings = {"warnings": [warning.as_dict() for warning in ignored]} if ignored else {}
        return {**self._one(agent), **warnings}


def _output(crew: Crew, agents: list[Agent], role: Role) -> Any:  # Any: serialized data
    context = {"with_secrets": may(role, Action.INSPECT)}
    return AgentOutput(agent_views(crew, agents), many=True, context=context).data
