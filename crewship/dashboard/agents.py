"""A crew's agents: adding, starting, stopping, deleting; settings and log on their own pages."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from crewship.crews.agents import create_agent, update_agent
from crewship.crews.models import Agent, Crew
from crewship.crews.secrets import SecretsUnreadable
from crewship.dashboard.agent_form import (
    AgentForm,
    EnvRow,
    changes,
    find_all_problems,
    place_problems,
    posted_form,
    stored_form,
)
from crewship.dashboard.scope import crew_of, in_workspace
from crewship.dashboard.shell import error_text, render_page, told
from crewship.domain.errors import ConfigInvalid
from crewship.domain.roles import Action
from crewship.workspaces.scope import Scope
from provisioning.agents.removals import await_agent_removal, delete_agent
from provisioning.agents.selectors import agent_log_tail, agent_views
from provisioning.agents.services import restart_agent, start_agent, stop_agent

LOG_LINES = 1000
OK = 200


@require_POST
@in_workspace(Action.CREATE)
def create(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    found = crew_of(scope, crew)
    values = {name: request.POST.get(name, "").strip() for name in ("name", "command")}
    with told(request, f"The agent {values['name']} is there; start it when you like."):
        made = create_agent(found, values, actor_role=scope.role)
        return _to_agent(scope, found, made.name)
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


@require_POST
@in_workspace(Action.UPDATE)
def restart(request: HttpRequest, scope: Scope, crew: str, agent: str) -> HttpResponse:
    found = _agent(crew_of(scope, crew), agent)
    with told(request, f"{found.name} is being restarted."):
        restart_agent(found, scope.user)
    return _to_agent(scope, found.crew, found.name)


@require_POST
@in_workspace(Action.UPDATE)
def edit(request: HttpRequest, scope: Scope, crew: str, agent: str) -> HttpResponse:
    found = _agent(crew_of(scope, crew), agent)
    form = posted_form(found, request.POST)
    if form.bad:
        find_all_problems(found, form)
        return _page(request, scope, found, form, status=400)
    try:
        saved = update_agent(found, changes(found, form), actor_role=scope.role)
    except ConfigInvalid as err:
        place_problems(form, err.problems)
        return _page(request, scope, found, form, status=400)
    except SecretsUnreadable as err:
        messages.error(request, error_text(err))
        return _page(request, scope, found, form, status=503)
    messages.success(request, f"{saved.name} is saved. It takes effect at the next start.")
    return _to_agent(scope, saved.crew, saved.name)


@in_workspace(Action.INSPECT)
def agent_page(request: HttpRequest, scope: Scope, crew: str, agent: str) -> HttpResponse:
    found = _agent(crew_of(scope, crew), agent)
    return _page(request, scope, found, stored_form(found))


def _page(
    request: HttpRequest, scope: Scope, agent: Agent, form: AgentForm, *, status: int = OK
) -> HttpResponse:
    if status != OK:
        form.ask_again()
    [view] = agent_views(agent.crew, [agent])
    context = {
        "crew": agent.crew,
        "view": view,
        "form": form,
        "new_row": EnvRow(),
        "lines": agent_log_tail(agent.pk, LOG_LINES).lines,
    }
    return render_page(
        request, scope, "dashboard/agent.html", context, tab="overview", status=status
    )


def _agent(crew: Crew, name: str) -> Agent:
    """Raises Http404."""
    agents = Agent.objects.select_related("crew__workspace").filter(crew=crew)
    found = agents.filter(name=name.replace("\0", "?")).first()
    if found is None:
        raise Http404
    return found


def _back(scope: Scope, crew: Crew) -> HttpResponse:
    return redirect("dashboard:crew", workspace=scope.workspace.slug, crew=crew.slug)


def _to_agent(scope: Scope, crew: Crew, name: str) -> HttpResponse:
    return redirect("dashboard:agent", workspace=scope.workspace.slug, crew=crew.slug, agent=name)
