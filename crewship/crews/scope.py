"""The crew that a URL names, within the caller's workspace."""

from __future__ import annotations

from crewship.crews.models import Agent, Crew
from crewship.domain.errors import ConfigError, NotFound
from crewship.domain.ids import IdPrefix, is_well_formed
from crewship.workspaces.models import Workspace
from crewship.workspaces.views import WorkspaceViewSet


class InvalidId(ConfigError):
    code = "invalid_id"
    hint = "An id of a crew is crw_ and 1 to 64 of A-Z, a-z, 0-9, _ and -."


def find_crew(workspace: Workspace, crew_id: str) -> Crew:
    """Raises InvalidId for what can't be an id, NotFound for a crew that is not in the workspace,
    whether or not it exists elsewhere."""
    if not is_well_formed(crew_id, IdPrefix.CREW):
        raise InvalidId(f"{crew_id[:80]!r} is not a crew's id.")
    crew = Crew.objects.select_related("workspace").filter(workspace=workspace, pk=crew_id).first()
    if crew is None:
        raise NotFound(
            "There is no such crew in this workspace.",
            code="crew_not_found",
            hint="List the workspace's crews; X-Workspace-ID names another workspace.",
        )
    return crew


def find_agent(crew: Crew, agent_id: str) -> Agent:
    """Raises InvalidId for what can't be an id, NotFound for an agent of no or another crew."""
    if not is_well_formed(agent_id, IdPrefix.AGENT):
        raise InvalidId(
            f"{agent_id[:80]!r} is not an agent's id.",
            hint="An id of an agent is agt_ and 1 to 64 of A-Z, a-z, 0-9, _ and -.",
        )
    agent = Agent.objects.filter(crew=crew, pk=agent_id).first()
    if agent is None:
        raise NotFound(
            "There is no such agent in this crew.",
            code="agent_not_found",
            hint="List the crew's agents; it may be deleted, or another crew's.",
        )
    agent.crew = crew
    return agent


class CrewViewSet(WorkspaceViewSet):
    """Views below ``/crews/{crew_id}``: ``self.crew`` is loaded before the role is looked at."""

    crew: Crew

    def load(self, **kwargs: str) -> None:
        if "crew_id" in kwargs:
            self.crew = find_crew(self.scope.workspace, kwargs["crew_id"])
