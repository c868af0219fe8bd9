"""The workspace's crews at a glance."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from crewship.crews.models import Crew
from crewship.dashboard.scope import in_workspace
from crewship.dashboard.shell import render_page
from crewship.workspaces.scope import Scope


@in_workspace()
def overview(request: HttpRequest, scope: Scope) -> HttpResponse:
    crews = Crew.objects.filter(workspace=scope.workspace).order_by("name", "id")
    return render_page(request, scope, "dashboard/overview.html", {"crews": crews}, tab="overview")
