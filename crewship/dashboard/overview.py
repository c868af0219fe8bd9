"""The workspace's crews at a glance, and the parts of every page that change by themselves."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from crewship.crews.models import Crew
from crewship.dashboard.scope import in_workspace
from crewship.dashboard.shell import render_page, shell_context
from crewship.workspaces.scope import Scope
from provisioning.overview import SHOWN, crew_rows, find_crews

PER_PAGE = 100
SHOW_LABELS = (
    ("", "All"),
    ("building", "Building"),
    ("failed", "Failed"),
    ("restart", "To restart"),
    ("unbuilt", "Not built"),
)


@in_workspace()
def overview(request: HttpRequest, scope: Scope) -> HttpResponse:
    show = request.GET.get("show", "")
    show = show if show in SHOWN else ""
    search = request.GET.get("q", "").strip().replace("\0", "")[:100]
    found = find_crews(scope.workspace, show, search)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "rows": crew_rows(list(page.object_list)),
        "page": page,
        "show": show,
        "search": search,
        "shows": SHOW_LABELS,
        "filtered": bool(show or search),
    }
    return render_page(request, scope, "dashboard/overview.html", context, tab="overview")


@in_workspace()
def live_rows(request: HttpRequest, scope: Scope) -> HttpResponse:
    """The badge, and the rows of the crews that ``crew`` names, as they are now."""
    ids = [crew_id.replace("\0", "?") for crew_id in request.GET.getlist("crew")[:PER_PAGE]]
    crews = Crew.objects.filter(workspace=scope.workspace, pk__in=ids).select_related("workspace")
    context = {**shell_context(scope), "rows": crew_rows(list(crews))}
    return render(request, "dashboard/_live_rows.html", context)
