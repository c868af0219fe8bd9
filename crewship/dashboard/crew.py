"""A crew's page: what it is, what its build is doing, its log, its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework.utils.encoders import JSONEncoder

from crewship.crews.models import Agent, Crew
from crewship.dashboard.scope import crew_of, in_workspace
from crewship.dashboard.shell import render_page, shell_context
from crewship.domain.errors import NotFound
from crewship.web.problems import MEDIA_TYPE, problem_body
from crewship.workspaces.scope import Scope
from provisioning.agents.selectors import agent_views
from provisioning.explain import explain_miss
from provisioning.history import (
    SHOWN_IN_LOG,
    checklist,
    event_json,
    events_from,
    log_before,
    seconds_of,
)
from provisioning.image_facts import image_layers
from provisioning.models import JobEvent, ProvisionJob
from provisioning.overview import crew_rows
from provisioning.retention import LogPruned, check_log
from provisioning.selectors import jobs_of, resolved_features
from provisioning.states import ACTIVE, JobState

FIRST_PAINT_LINES = 1000
PORTION_LINES = 2000
HISTORY = 20


@in_workspace()
def crew_page(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    found = crew_of(scope, crew)
    job = _shown_job(found, request.GET.get("job", ""))
    context = {**_live_context(found, job), **_log_context(job), **_history_context(found)}
    return render_page(request, scope, "dashboard/crew.html", context, tab="overview")


@in_workspace()
def live_crew(request: HttpRequest, scope: Scope, crew: str) -> HttpResponse:
    """The parts of the page that change while a job runs, without its log."""
    found = crew_of(scope, crew)
    job = _shown_job(found, request.GET.get("job", ""))
    context = {**shell_context(scope), **_live_context(found, job), **_history_context(found)}
    return render(request, "dashboard/_live_crew.html", context)


@in_workspace()
def log_portion(request: HttpRequest, scope: Scope, job: str) -> JsonResponse:
    """Events of a job's log as JSON, in order: those ``after`` a seq, or a portion ``before``."""
    found = ProvisionJob.objects.filter(workspace=scope.workspace, pk=job.replace("\0", "?"))
    row = found.defer("devcontainer_config", "mise_config").first()
    if row is None:
        raise Http404
    try:
        check_log(row)
    except LogPruned as err:
        body = problem_body(410, err.error_code, err.message, request.path, err.error_hint)
        return JsonResponse(body, status=410, content_type=MEDIA_TYPE)
    if "after" in request.GET:
        # "ended" was read before the events: what ended has all its events there.
        events, more = events_from(row.pk, _number(request, "after"))
        body = {
            "events": [event_json(event) for event in events],
            "more": more,
            "ended": row.state not in ACTIVE and not more,
        }
    else:
        portion = log_before(row, _number(request, "before"), PORTION_LINES)
        body = {
            "events": [event_json(event) for event in portion.events],
            "earlier": portion.earlier,
        }
    compact = {"separators": (",", ":")}
    return JsonResponse(body, encoder=JSONEncoder, json_dumps_params=compact)


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _shown_job(crew: Crew, job_id: str) -> ProvisionJob | None:
    """The job that the URL names, else the crew's newest. Raises Http404 for another crew's."""
    jobs = jobs_of(crew)
    if not job_id:
        return jobs.first()
    job = jobs.filter(pk=job_id.replace("\0", "?")).first()
    if job is None:
        raise Http404
    return job


@dataclass(frozen=True, slots=True)
class Bar:
    """A job in the chart; lengths are in the chart's units."""

    job: ProvisionJob
    seconds: float
    x: int
    y: int
    height: int


def _live_context(crew: Crew, job: ProvisionJob | None) -> dict[str, Any]:  # Any: template context
    [row] = crew_rows([crew])
    try:
        features = resolved_features(crew)
    except NotFound:
        features = []
    return {
        "crew": crew,
        "row": row,
        "job": job,
        "is_latest": row.job is None or job is None or row.job.pk == job.pk,
        "job_active": job is not None and job.state in ACTIVE,
        "job_seconds": seconds_of(job) if job else None,
        "steps": checklist(job),
        "miss": explain_miss(job) if job and job.state == JobState.COMPLETED else None,
        "features": features,
        "agents": agent_views(crew, list(Agent.objects.filter(crew=crew).order_by("name"))),
        "image_layers": image_layers(row.image) if row.image else [],
    }


def _log_context(job: ProvisionJob | None) -> dict[str, Any]:  # Any: template context
    if job is None or job.log_pruned_at is not None:
        return {"log": None, "last_seq": 0}
    # The seq is read before the events: what comes in between is shown and sent again, and the
    # page drops what it has; the other way round it would be lost.
    last = JobEvent.objects.filter(job=job).order_by("-seq").values_list("seq", flat=True).first()
    portion = log_before(job, (last or 0) + 1, FIRST_PAINT_LINES)
    return {"log": portion, "last_seq": last or 0, "shown_in_log": [k.value for k in SHOWN_IN_LOG]}


def _history_context(crew: Crew) -> dict[str, Any]:  # Any: template context
    jobs = list(jobs_of(crew).defer("devcontainer_config", "mise_config")[:HISTORY])
    longest = max((seconds_of(job) or 0.0 for job in jobs), default=0.0) or 1.0
    bars = []
    for index, job in enumerate(reversed(jobs)):
        seconds = seconds_of(job) or 0.0
        height = max(2, round(44 * seconds / longest))
        bars.append(Bar(job, seconds, index * 12, 46 - height, height))
    return {"bars": bars, "history": bars[::-1], "longest": longest, "chart_width": HISTORY * 12}
