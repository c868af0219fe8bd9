"""A crew's agents on its page: adding, starting, stopping, deleting, and what they printed."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from crewship.crews.agents import create_agent
from crewship.crews.models import Agent, Crew
from crewship.dashboard.scope import crew_of, in_workspace
from crewship.dashboard.shell import render_page, told
from crewship.domain.roles import Action
from crewship.workspaces.scope import Scope
from provisioning.agents.removals import await_agent_removal, delete_agent
from provisioning.agents.selectors import agent_log_tail, agent_views
from provisioning.agents.services import start_agent, stop_agent

LOG_LINES = 1000


@require_POST
@in_workspace(Action.CREATE)
def create(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    found = crew_of(scope, crew)
    values = {name: request.POST.get(name, "").strip() for name in ("name", "command")}
    with told(request, f"The agent {values['name']} is there; start it when you like."):
        create_agent(found, values, actor_role=scope.role)
    return _back(scope, found)


@require_POST
@in_workspace(Action.UPDATE)
def start(request: HttpRequest, scope: Scope, crew: str, agent: str) -> HttpResponse:
    found = _agent(crew_of(scope, crew), agent)
    with told(request, f"{found.name} is being started."):
        start_agent(found, scope.user)
    return _back(scope, found.crew)


@require_POST
@in_workspace(Action.UPDATE)
def stop(request: HttpRequest, scope: Scope, crew: str, agent: str) -> HttpResponse:
    found = _agent(crew_of(scope, crew), agent)
    with told(request, f"{found.name} is being stopped."):
        stop_agent(found)
    return _back(scope, found.crew)


@require_POST
@in_workspace(Action.DELETE)
def delete(request: HttpRequest, scope: Scope, crew: str, agent: str) -> HttpResponse:
    found = _agent(crew_of(scope, crew), agent)
    pk = found.pk
    with told(request, f"{found.name} is deleted."):
        delete_agent(found)
        await_agent_removal(pk)
    return _back(scope, found.crew)


@in_workspace(Action.INSPECT)
def logs(request: HttpRequest, scope: Scope, crew: str, agent: str) -> HttpResponse:
    found = crew_of(scope, crew)
    [view] = agent_views(found, [_agent(found, agent)])
    context = {"crew": found, "view": view, "lines": agent_log_tail(view.agent.pk, LOG_LINES).lines}
    return render_page(request, scope, "dashboard/agent.html", context, tab="overview")


def _agent(crew: Crew, name: str) -> Agent:
    """Raises Http404."""
    agents = Agent.objects.select_related("crew__workspace").filter(crew=crew)
    found = agents.filter(name=name.replace("\0", "?")).first()
    if found is None:
        raise Http404
    return found


def _back(scope: Scope, crew: Crew) -> HttpResponse:
    return redirect("dashboard:crew", workspace=scope.workspace.slug, crew=crew.slug)
