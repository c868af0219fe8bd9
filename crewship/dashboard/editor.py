"""Pages that make, edit and delete a crew. They work as plain forms; editor.js adds the rest."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect

from crewship.crews.models import Crew
from crewship.crews.services import AGENT_LIMITS, FIELDS, TEXTS, lock_crew
from crewship.dashboard.editor_changes import change
from crewship.dashboard.editor_findings import Findings, place
from crewship.dashboard.editor_form import (
    CRLF_FILE,
    CrewForm,
    initial_of,
    posted_texts,
    state_of,
    text_of_file,
    values_of,
)
from crewship.dashboard.editor_parts import find_problems, images_on_offer, parts_context
from crewship.dashboard.editor_plan import preview
from crewship.dashboard.scope import crew_of, in_workspace
from crewship.dashboard.shell import error_text, render_page, told
from crewship.devcontainer.config import MAX_TEXT_BYTES
from crewship.devcontainer.newlines import to_lf
from crewship.domain.errors import ConfigError, ConfigInvalid, Conflict
from crewship.domain.roles import Action
from crewship.workspaces.limits import lock_workspace
from crewship.workspaces.scope import Scope
from provisioning.authoring import Saved, save_crew
from provisioning.deletion import Volumes, delete_crew
from provisioning.models import AgentVolume

MOST_SAID = 10  # warnings in the message after a save


class EditedMeanwhile(Conflict):
    """The crew that a form was made for has changed since: somebody else saved it."""

    code = "edited_meanwhile"
    hint = "Look at what is stored now, then save over it or take it."


@in_workspace(Action.CREATE)
def new_crew(request: HttpRequest, scope: Scope) -> HttpResponse:
    return _editor(request, scope, Crew(workspace=scope.workspace))


@in_workspace(Action.UPDATE)
def edit_crew(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    return _editor(request, scope, crew_of(scope, crew))


@in_workspace(Action.DELETE)
def remove_crew(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    """Asks for the slug, then deletes the crew with all that is its own."""
    found = crew_of(scope, crew)
    mistaken = False
    if request.method == "POST":
        mistaken = request.POST.get("slug", "").strip() != found.slug
        said = request.POST.get("volumes", "")
        volumes = Volumes(said) if said in set(Volumes) else None
        if not mistaken and _deleted(request, found, volumes):
            return redirect("dashboard:overview", workspace=scope.workspace.slug)
    context = {
        "crew": found,
        "mistaken": mistaken,
        "agents": found.agents.count(),
        "volumes": AgentVolume.objects.filter(crew_id=found.pk, delete_at=None).order_by("name"),
    }
    return render_page(request, scope, "dashboard/editor/delete.html", context, tab="overview")


def _deleted(request: HttpRequest, crew: Crew, volumes: Volumes | None) -> bool:
    """Whether it could be done; if not, a message says why."""
    with told(request):
        delete_crew(crew, volumes=volumes)
        messages.success(request, f"{crew.name} is deleted.")
        return True
    return False


def _editor(request: HttpRequest, scope: Scope, crew: Crew) -> HttpResponse:
    if request.method != "POST":
        initial = initial_of(crew)
        return _page(request, scope, crew, CrewForm(initial=initial), QueryDict())
    data = request.POST.copy()
    try:
        _change_without_script(request, data)
        if data.get("action") == "save":
            return _save(request, scope, crew, data)
    except ConfigError as err:
        messages.error(request, error_text(err))
    except ValueError as err:
        messages.error(request, str(err))
    return _page(request, scope, crew, CrewForm(data), data)


def _save(request: HttpRequest, scope: Scope, crew: Crew, data: QueryDict) -> HttpResponse:
    """To the crew's page, or the form again with everything that was typed and what is wrong."""
    form = CrewForm(data)
    if not form.is_valid():
        return _page(request, scope, crew, form, data)
    try:
        saved = _stored(scope, crew, values_of(form, crew), data.get("state", ""))
    except ConfigInvalid as err:
        findings = place((), err.problems, posted_texts(data))
        return _page(request, scope, crew, form, data, findings=findings)
    except EditedMeanwhile:
        crew.refresh_from_db()
        return _page(request, scope, crew, form, data, edited=True)
    started = " A provision was started." if saved.job and not saved.job.cache_hit else ""
    messages.success(request, f"{saved.crew.name} is saved.{started}", extra_tags="saved")
    if saved.warnings:
        messages.warning(request, "\n".join(str(w) for w in saved.warnings[:MOST_SAID]))
    return redirect("dashboard:crew", workspace=scope.workspace.slug, crew=saved.crew.slug)


@transaction.atomic
def _stored(scope: Scope, crew: Crew, values: dict[str, Any], seen: str) -> Saved:
    """Raises ConfigInvalid, and EditedMeanwhile where the crew is not as in ``seen``."""
    if crew._state.adding:
        return save_crew(scope.workspace, values, actor=scope.user)
    # The workspace first, as whoever starts a provision: the other way round may deadlock.
    lock_workspace(scope.workspace)
    locked = lock_crew(crew)
    if state_of(locked) != seen:
        raise EditedMeanwhile("Somebody else saved this crew while you were editing it.")
    return save_crew(locked, values, actor=scope.user)


def _change_without_script(request: HttpRequest, data: QueryDict) -> None:
    """Where no script runs: a file that was chosen is loaded, a base image is put into the text."""
    file = request.FILES.get("devcontainer_file")
    if file is not None:
        text = text_of_file(file.read(MAX_TEXT_BYTES + 1))
        data["devcontainer_config"] = to_lf(text)
        data[CRLF_FILE] = "1" if "\r\n" in text else ""
    elif data.get("action") == "set_image":
        data["edit"] = "set_image"
        changed = change(posted_texts(data), data)
        data[changed.field] = changed.text


def _page(
    request: HttpRequest,
    scope: Scope,
    crew: Crew,
    form: CrewForm,
    data: QueryDict,
    *,
    findings: Findings | None = None,
    edited: bool = False,
) -> HttpResponse:
    values = data if form.is_bound else form.initial
    texts = posted_texts(values)
    if findings is None and form.is_bound:
        findings = find_problems(crew, values)
    is_new = crew._state.adding
    context = {
        "form": form,
        "crew": None if is_new else crew,
        "state": "" if is_new else state_of(crew) if edited else data.get("state", state_of(crew)),
        "crlf": data.get(CRLF_FILE, ""),
        "findings": findings or find_problems(crew, values, unfinished=True),
        "edited": edited,
        "refused": data.get("action") == "save" and not edited,
        "stored": _stored_differs(crew, values) if edited else [],
        "images": images_on_offer(),
        "limits": [form[name] for name in AGENT_LIMITS],
        "plan": preview(crew, values) if data.get("action") == "check" else None,
        **parts_context(texts),
    }
    return render_page(request, scope, "dashboard/editor/edit.html", context, tab="overview")


def _stored_differs(crew: Crew, values: Any) -> list[tuple[str, str]]:  # Any: QueryDict or dict
    """Fields that are stored otherwise than they were posted, with what is stored."""
    out = []
    for name in FIELDS:
        stored = getattr(crew, name)
        is_text = name in TEXTS
        shown = to_lf(stored or "") if is_text else "" if stored is None else str(stored)
        posted = values.get(name) or ""
        if isinstance(stored, bool):
            posted = str(bool(posted))
        if shown != (to_lf(posted) if is_text else posted.strip()):
            out.append((name, shown))
    return out
