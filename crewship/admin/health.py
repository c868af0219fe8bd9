"""The operator's page about how the installation is, and the strip on the admin's first page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache

from cache.models import UpkeepProblem
from provisioning.concerns import concerns_of
from provisioning.health import installation_health

SHOWN_PROBLEMS = 20


@never_cache
def health_page(request: HttpRequest) -> HttpResponse:
    """All facts of ``provisioning.health``; its script fetches it anew every 5 s."""
    health = installation_health()
    problems = UpkeepProblem.objects.select_related("host").order_by("first_at", "pk")
    context = {
        **admin.site.each_context(request),
        "title": "Health",
        "health": health,
        "concerns": concerns_of(health),
        "problems": problems[:SHOWN_PROBLEMS],
        "more_problems": max(0, health.upkeep.failing - SHOWN_PROBLEMS),
    }
    return TemplateResponse(request, "admin/crewship/health.html", context)


def index_context() -> dict[str, Any]:  # Any: a template's values
    """What the admin's first page says of it."""
    found = concerns_of(installation_health())
    broken = [concern for concern in found if concern.broken]
    return {"concerns": broken, "warnings": len(found) - len(broken)}
