"""Provision jobs: to look at, to read the log of, and to cancel."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from crewship.admin.pages import ReadOnlyAdmin, link, pretty
from crewship.crews.models import Crew
from crewship.domain.ids import IdPrefix, is_well_formed
from crewship.web.downloads import text_download
from provisioning.models import JobEvent, ProvisionJob
from provisioning.pipeline.execute import LABELS
from provisioning.retention import LogPruned, check_log
from provisioning.selectors import log_lines, log_tail
from provisioning.services import cancel_provision
from provisioning.states import ACTIVE, LOG_KINDS

PAGE_LINES = 300
PAGE_EVENTS = 300
TEXTS = (
    "devcontainer_config",
    "mise_config",
    "lock_config",
    "resolved_features",
    "error",
    "error_hint",
)


class JobChangeList(ChangeList):
    """A page of jobs without their texts."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Any]:
        return super().get_queryset(request, exclude_parameters).defer(*TEXTS)


@admin.register(ProvisionJob)
class ProvisionJobAdmin(ReadOnlyAdmin[ProvisionJob]):
    list_display = ("short_id", "place", "state", "news", "created_at", "took")
    list_select_related = ("crew", "workspace")
    list_filter = ("state", "rebuild", "cache_hit", "workspace")
    search_fields = ("id",)  # there is a search box; see get_search_results
    search_help_text = "A part of a crew's slug, or a job's whole id."
    ordering = ("-id",)
    actions = ["cancel"]
    fieldsets = (
        (
            None,
            {"fields": ("id", "state", "progress", "failure", "crew_link", "workspace", "took")},
        ),
        ("Log", {"fields": ("log",)}),
        ("Events", {"fields": ("timeline",)}),
        (
            "What is built",
            {
                "fields": (
                    "rebuild",
                    "cache_hit",
                    "config_hash",
                    "image_id",
                    "runtime_image",
                    "devcontainer_text",
                    "mise_text",
                    "features",
                )
            },
        ),
        (
            "Who and where",
            {
                "fields": (
                    "requested_by",
                    "waits_for",
                    "host",
                    "worker",
                    "fence",
                    "lost_workers",
                    "heartbeat_at",
                    "created_at",
                    "started_at",
                    "finished_at",
                )
            },
        ),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JobChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProvisionJob]:
        jobs: QuerySet[ProvisionJob] = super().get_queryset(request)
        texts = ("crew__devcontainer_config", "crew__mise_config")  # the job has its own
        return jobs.select_related("crew", "workspace").defer(*texts)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Crews are looked through and jobs found by index: there are many more jobs."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if is_well_formed(term, IdPrefix.JOB):
            return queryset.filter(pk=term), False
        crews = Crew.objects.filter(slug__icontains=term).order_by().values("pk")
        return queryset.filter(crew__in=crews), False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.log_view)
        name = "provisioning_provisionjob_log"
        return [path("<str:job_id>/log/", view, name=name), *super().get_urls()]

    def log_view(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """The whole log as a download."""
        job = ProvisionJob.objects.filter(pk=job_id).first()
        if job is None:
            raise Http404("There is no such job.")
        try:
            check_log(job)
        except LogPruned as err:
            return HttpResponse(f"{err.message}\n", status=410, content_type="text/plain")
        return text_download(request, log_lines(job), f"{job.pk}.log")

    def page_links(self, obj: ProvisionJob) -> list[tuple[str, str]]:
        if obj.log_pruned_at is not None:
            return []
        return [("Whole log", reverse("admin:provisioning_provisionjob_log", args=[obj.pk]))]

    def get_page_verbs(self, obj: ProvisionJob) -> tuple[str, ...]:
        return ("cancel",) if obj.state in ACTIVE else ()

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, queryset: QuerySet[ProvisionJob]) -> HttpResponse | None:
        def verb(job: ProvisionJob) -> str:
            if job.state not in ACTIVE:
                return f"is {job.state} already"
            cancelled = cancel_provision(job.crew)
            return "cancelled" if cancelled is not None else "has just ended"

        return self.for_each(request, queryset, verb)

    # -- computed columns
    @admin.display(description="took")
    def took(self, job: ProvisionJob) -> str:
        if job.started_at is None:
            return "-"
        if job.finished_at is None:
            return f"{_seconds(job.started_at, timezone.now())} so far"
        return _seconds(job.started_at, job.finished_at)

    @admin.display(description="job", ordering="id")
    def short_id(self, job: ProvisionJob) -> str:
        return job.pk[-8:]  # the whole id is on the page; its end tells jobs apart

    @admin.display(description="crew", ordering="crew__slug")
    def place(self, job: ProvisionJob) -> str:
        return f"{job.workspace} / {job.crew}"

    @admin.display(description="message")
    def news(self, job: ProvisionJob) -> str:
        return job.error_code or job.message

    @admin.display(description="step")
    def progress(self, job: ProvisionJob) -> str:
        label = LABELS[job.step - 1] if 0 < job.step <= len(LABELS) else "not begun"
        return f"{job.step} of {len(LABELS)} ({label}): {job.message or '-'}"

    @admin.display(description="error")
    def failure(self, job: ProvisionJob) -> SafeString | str:
        if not job.error:
            return "-"
        return format_html(
            '<pre class="crewship-code">{}</pre>[{}] {}', job.error, job.error_code, job.error_hint
        )

    @admin.display(description="crew")
    def crew_link(self, job: ProvisionJob) -> SafeString | str:
        return link(job.crew)

    @admin.display(description="waits for")
    def waits_for(self, job: ProvisionJob) -> SafeString | str:
        return link(job.leader)

    @admin.display(description="devcontainer config")
    def devcontainer_text(self, job: ProvisionJob) -> SafeString | str:
        return _text(job.devcontainer_config)

    @admin.display(description="mise config")
    def mise_text(self, job: ProvisionJob) -> SafeString | str:
        return _text(job.mise_config)

    @admin.display(description="resolved features")
    def features(self, job: ProvisionJob) -> SafeString | str:
        return pretty(job.resolved_features) if job.resolved_features else "-"

    @admin.display(description="last lines")
    def log(self, job: ProvisionJob) -> SafeString | str:
        if job.log_pruned_at is not None:
            return f"It was removed on {job.log_pruned_at:%Y-%m-%d}, as logs of old jobs are."
        text = "\n".join(log_tail(job, PAGE_LINES))
        # The box begins scrolled to its end, where the news is.
        box = '<div class="crewship-log"><pre class="crewship-code">{}</pre></div>'
        return format_html(box, text) if text else "-"

    @admin.display(description="what happened")
    def timeline(self, job: ProvisionJob) -> SafeString | str:
        """All events but the log's, in one query."""
        events = list(job.events.exclude(kind__in=LOG_KINDS).order_by("seq")[:PAGE_EVENTS])
        rows = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            (
                (
                    event.at.strftime("%H:%M:%S"),
                    LABELS[event.step - 1] if event.step else "",
                    event.kind,
                    _about(event),
                )
                for event in events
            ),
        )
        head = "<tr><th>Time (UTC)</th><th>Step</th><th>Event</th><th></th></tr>"
        table = (
            '<table class="crewship-timeline"><thead>' + head + "</thead><tbody>{}</tbody></table>"
        )
        return format_html(table, rows) if events else "-"


def _text(text: str | None) -> SafeString | str:
    return format_html('<pre class="crewship-code">{}</pre>', text) if text else "-"


def _about(event: JobEvent) -> str:
    """The event's data as a person reads it: ``hit: no, seconds: 12.4``."""
    words = {True: "yes", False: "no"}
    return ", ".join(
        f"{name}: {words[value] if isinstance(value, bool) else _short(value)}"
        for name, value in event.data.items()
        if value is not None
    )


def _short(value: object) -> str:
    """Keys and digests by their beginning."""
    text = str(value)
    is_digest = text.startswith("sha256:") or (len(text) == 64 and text.isalnum())
    return f"{text.removeprefix('sha256:')[:12]}…" if is_digest else text


def _seconds(start: datetime, end: datetime) -> str:
    return f"{(end - start).total_seconds():.1f} s"
