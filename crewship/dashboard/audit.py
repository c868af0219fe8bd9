"""The workspace's audit trail: who did what to what, newest first."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from crewship.dashboard.scope import in_workspace
from crewship.dashboard.shell import render_page
from crewship.domain.roles import Action
from crewship.workspaces.audit import AuditAction, trail_of
from crewship.workspaces.scope import Scope

PER_PAGE = 100
KINDS = tuple(dict.fromkeys(action.value.partition(".")[0] for action in AuditAction))


@in_workspace(Action.MANAGE)
def audit(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Filtered by the kind of act, and by a part of the actor's or the target's name."""
    kind = request.GET.get("kind", "")
    kind = kind if kind in KINDS else ""
    search = request.GET.get("q", "").strip().replace("\0", "")[:100]
    events = trail_of(scope.workspace)
    if kind:
        events = events.filter(action__startswith=f"{kind}.")
    if search:
        events = events.filter(Q(actor_label__icontains=search) | Q(target_label__icontains=search))
    page = Paginator(events.order_by("-id"), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "kind": kind,
        "kinds": KINDS,
        "search": search,
        "filtered": bool(kind or search),
    }
    return render_page(request, scope, "dashboard/audit.html", context, tab="audit")
