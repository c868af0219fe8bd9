"""What editor.js asks for while a crew is edited; nothing here changes a crew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST

from catalogs.base_images import BaseImage, base_images
from catalogs.entries import CATEGORIES, FeatureEntry, RuntimeEntry
from catalogs.selectors import feature_catalog, runtime_catalog, search
from crewship.crews.models import Crew
from crewship.crews.scope import find_crew
from crewship.crews.services import TEXTS
from crewship.dashboard.editor_changes import (
    change,
    feature_name,
    option_fields,
    parts,
)
from crewship.dashboard.editor_findings import Findings, check
from crewship.dashboard.editor_form import posted_texts, suggested_slug
from crewship.dashboard.editor_plan import preview
from crewship.dashboard.scope import in_workspace
from crewship.devcontainer.mise import is_tool
from crewship.devcontainer.refs import parse_image_ref
from crewship.domain.errors import ConfigError
from crewship.domain.roles import Action
from crewship.workspaces.scope import Scope

MOST_LISTED = 60
E = TypeVar("E", FeatureEntry, RuntimeEntry)


@require_POST
@in_workspace(Action.UPDATE)
def check_texts(request: HttpRequest, scope: Scope) -> JsonResponse:
    """Problems and warnings of what is in the form now, with their places, and what the texts
    have: as fragments of the page."""
    crew = posted_crew(request, scope)
    findings = find_problems(crew, request.POST, unfinished=True)
    context = {"findings": findings, **parts_context(posted_texts(request.POST))}
    fragments = ("findings", "features", "tools")
    body: dict[str, Any] = {  # Any: JSON
        name: render_to_string(f"dashboard/editor/_{name}.html", context) for name in fragments
    }
    body |= {
        "image": context["parts"].image,
        "summary": findings.summary,
        "problems": findings.problems,
        "marks": [finding.as_mark() for finding in findings.shown],
    }
    return JsonResponse(body)


@require_POST
@in_workspace(Action.UPDATE)
def change_text(request: HttpRequest, scope: Scope) -> JsonResponse:
    """One text as a form's act leaves it, or the reason why it can't be done: an answer as good
    as the other, so no error status, which the browser would log."""
    try:
        changed = change(posted_texts(request.POST), request.POST)
    except ConfigError as err:
        return JsonResponse({"refused": f"{err.message} {err.error_hint}".strip()})
    return JsonResponse({"field": changed.field, "text": changed.text, "message": changed.message})


@in_workspace(Action.UPDATE)
def list_features(request: HttpRequest, scope: Scope) -> HttpResponse:
    """The picker's list: those that match, by name; of a feature its reference counts too."""
    context = _listed(feature_catalog().listed, request)
    return render(request, "dashboard/editor/_feature_list.html", context)


def _listed(entries: Sequence[E], request: HttpRequest) -> dict[str, Any]:  # Any: template context
    """Those of ``entries`` that ``q`` is a part of and that are of the ``category``, if any."""
    text, category = request.GET.get("q", "").strip(), request.GET.get("category", "")
    matching = search(entries, text)
    found = [
        entry
        for entry in entries
        if (entry in matching or text.casefold() in entry.key.casefold())
        and category in {"", entry.category}
    ]
    return {"entries": found[:MOST_LISTED], "left_out": len(found[MOST_LISTED:])}


@require_POST
@in_workspace(Action.UPDATE)
def feature_options(request: HttpRequest, scope: Scope) -> HttpResponse:
    """A form made from the feature's declared options, with what the text gives now."""
    ref = request.POST.get("ref", "")
    refused, fields = "", None
    try:
        fields = option_fields(posted_texts(request.POST), ref)
    except ConfigError as err:
        refused = err.message
    context = {"ref": ref, "name": feature_name(ref), "fields": fields, "refused": refused}
    return render(request, "dashboard/editor/_options.html", context)


@in_workspace(Action.UPDATE)
def list_tools(request: HttpRequest, scope: Scope) -> HttpResponse:
    catalog, text = runtime_catalog(), request.GET.get("q", "").strip()
    other = text if is_tool(text) and text not in catalog.known else ""
    context = {**_listed(catalog.listed, request), "other": other}
    return render(request, "dashboard/editor/_tool_list.html", context)


@in_workspace(Action.UPDATE)
def tool_versions(request: HttpRequest, scope: Scope) -> HttpResponse:
    """The form that asks for a tool's versions."""
    tool = request.GET.get("tool", "")[:200]
    context = {
        "tool": tool,
        "entry": runtime_catalog().known.get(tool),
        "given": request.GET.get("versions", "")[:500],
    }
    return render(request, "dashboard/editor/_versions.html", context)


@require_POST
@in_workspace(Action.UPDATE)
def plan(request: HttpRequest, scope: Scope) -> HttpResponse:
    context = {"plan": preview(posted_crew(request, scope), request.POST)}
    return render(request, "dashboard/editor/_plan.html", context)


def posted_crew(request: HttpRequest, scope: Scope) -> Crew:
    """The crew that is being edited, or a new one. Raises NotFound for another workspace's."""
    crew_id = request.POST.get("crew", "")
    return find_crew(scope.workspace, crew_id) if crew_id else Crew(workspace=scope.workspace)


def find_problems(
    crew: Crew, data: Mapping[str, Any], *, unfinished: bool = False
) -> Findings:  # Any: form values
    """What saving the form's values would say. ``unfinished``: a name or slug that is still empty
    is no problem yet."""
    name = data.get("name") or ""
    slug = data.get("slug") or suggested_slug(name)
    values: dict[str, Any] = {
        "name": name or ("to be named" if unfinished else ""),
        "slug": slug or (crew.pk.lower() if unfinished else ""),
        "runtime_image": (data.get("runtime_image") or "").strip(),
        **posted_texts({text: data.get(text) or "" for text in TEXTS}),
    }
    return check(crew, values)


def parts_context(texts: Mapping[str, str]) -> dict[str, Any]:  # Any: template context
    return {"parts": parts(texts), "categories": CATEGORIES}


def images_on_offer() -> list[BaseImage]:
    """The bundled base images that this installation lets crews start from, the recommended one
    first."""
    policy = settings.CREWSHIP.policy
    allowed = [i for i in base_images() if policy.allows_image(parse_image_ref(i.image))]
    return sorted(allowed, key=lambda image: not image.recommended)
