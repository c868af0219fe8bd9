"""The host's cached images: who uses them, what they cost, deleting what nobody uses."""

from __future__ import annotations

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from cache.models import DockerHost
from cache.selectors import crews_referencing
from cache.services import ImageReferenced, delete_image
from cache.usage import cache_use
from crewship.crews.models import Crew
from crewship.dashboard.scope import crew_of, in_workspace
from crewship.dashboard.shell import render_page, shell_context, told
from crewship.domain.errors import Conflict
from crewship.domain.roles import Action
from crewship.workspaces.scope import Scope
from provisioning.freshness import image_status
from provisioning.services import request_provision

PER_PAGE = 50


@in_workspace()
def images(request: HttpRequest, scope: Scope) -> HttpResponse:
    host = DockerHost.objects.order_by("created_at").first()
    use = cache_use(host) if host else None
    page = Paginator(use.images if use else (), PER_PAGE).get_page(request.GET.get("page"))
    users = crews_referencing({row.image.tag for row in page.object_list}, scope.workspace)
    crews = Crew.objects.in_bulk({pk for ids in users.values() for pk in ids})
    rows = [
        {"use": row, "crews": [crews[pk] for pk in users.get(row.image.tag, ()) if pk in crews]}
        for row in page.object_list
    ]
    context = {"rows": rows, "page": page, "use": use, "host": host, "gc": settings.CREWSHIP.gc}
    return render_page(request, scope, "dashboard/images.html", context, tab="images")


@require_POST
@in_workspace(Action.DELETE)
def delete(request: HttpRequest, scope: Scope) -> HttpResponse:
    tag = request.POST.get("tag", "")
    with told(request, f"{tag} is deleted."):
        try:
            delete_image(tag, workspace=scope.workspace)
        except ImageReferenced as err:
            raise Conflict(_why_not(err, tag), hint="") from err
    return redirect("dashboard:images", workspace=scope.workspace.slug)


def _why_not(err: ImageReferenced, tag: str) -> str:
    """Who uses it, as far as the caller may know."""
    ids = err.extra.get("crew_ids", ())
    names = list(Crew.objects.filter(pk__in=ids).order_by("name").values_list("name", flat=True))
    if not names:
        return f"{tag} stays: a crew or agent of another workspace on this host uses it."
    uses, their = ("uses", "that crew's") if len(names) == 1 else ("use", "those crews'")
    return (
        f"{tag} stays: {', '.join(names)} {uses} it.\n"
        f"It can be deleted after {their} config has changed or the crew is deleted, "
        "and once no agent runs on it."
    )


@in_workspace()
def freshness(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    """Whether the crew's image is behind its registries; waits for them some seconds at most."""
    found = crew_of(scope, crew)
    context = {**shell_context(scope), "crew": found, "status": image_status(found)}
    return render(request, "dashboard/_freshness.html", context)


@require_POST
@in_workspace(Action.CREATE)
def refresh(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    """A rebuild that keeps the image until the new one is there."""
    with told(request):
        request_provision(crew=crew_of(scope, crew), actor=scope.user, refresh=True)
    return redirect("dashboard:crew", workspace=scope.workspace.slug, crew=crew)
