"""What a manager does to a crew: provision, rebuild, cancel, restart agents. Each is a POST that
calls the service of the API's route and leads back to the page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from crewship.dashboard.scope import crew_of, in_workspace
from crewship.dashboard.shell import told
from crewship.domain.roles import Action
from crewship.workspaces.scope import Scope
from provisioning.agents.services import restart_agents
from provisioning.services import cancel_provision, request_provision


@require_POST
@in_workspace(Action.CREATE)
def provision(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    found = crew_of(scope, crew)
    with told(request):
        job = request_provision(crew=found, actor=scope.user)
        if job.cache_hit:
            messages.success(request, f"{found.name} is ready: its image was in the cache.")
    return _back(request, scope, crew)


@require_POST
@in_workspace(Action.CREATE)
def rebuild(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    with told(request):
        request_provision(crew=crew_of(scope, crew), actor=scope.user, rebuild=True)
    return _back(request, scope, crew)


@require_POST
@in_workspace(Action.CREATE)
def cancel(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    with told(request):
        if cancel_provision(crew_of(scope, crew)) is None:
            messages.info(request, "There was nothing to cancel: the build had ended.")
        else:
            messages.success(request, "The build is cancelled.")
    return _back(request, scope, crew)


@require_POST
@in_workspace(Action.UPDATE)
def restart(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    found = crew_of(scope, crew)
    with told(request):
        report = restart_agents(found)
        plural = "" if report.restarted == 1 else "s"
        messages.success(request, f"{report.restarted} agent{plural} of {found.name} restarted.")
        for failed in report.failed:
            messages.error(request, f"{failed.name} was not restarted: {failed.error}")
    return _back(request, scope, crew)


def _back(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    if request.POST.get("back") == "overview":
        return redirect("dashboard:overview", workspace=scope.workspace.slug)
    return redirect("dashboard:crew", workspace=scope.workspace.slug, crew=crew)
