"""Crews, saved and provisioned through the same services as everywhere."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from crewship.admin.pages import OperatorAdmin, rows_of
from crewship.crews.models import Agent, Crew
from crewship.crews.services import (
    AGENT_LIMITS,
    FIELDS,
    TEXTS,
    check_crew,
)
from crewship.domain.errors import ConfigInvalid, Problem
from crewship.workspaces.models import User
from provisioning.agents.services import restart_agents
from provisioning.authoring import save_crew
from provisioning.deletion import Volumes, delete_crew
from provisioning.models import AgentVolume, ProvisionJob
from provisioning.selectors import short_statuses
from provisioning.services import cancel_provision, request_provision
from provisioning.states import ACTIVE, JobState


class RawTextField(forms.CharField):
    """A text kept byte for byte; browsers send every line end as CRLF, which is undone."""

    widget = forms.Textarea(attrs={"class": "vLargeTextField crewship-code", "spellcheck": "false"})

    def __init__(self, *, rows: int, **kwargs: Any) -> None:
        super().__init__(required=False, strip=False, empty_value=None, **kwargs)
        self.widget.attrs["rows"] = rows

    def to_python(self, value: Any) -> str | None:
        text: str | None = super().to_python(value)
        return text.replace("\r\n", "\n") if text else text

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.to_python(initial) != self.to_python(data)


class CrewForm(forms.ModelForm):  # type: ignore[type-arg]  # takes no argument at run time
    """Problems stand at the field of the text they are in, each with its path or line."""

    devcontainer_config = RawTextField(
        rows=16,
        help_text="JSONC, stored as written. Empty: made from the runtime image or mise config.",
    )
    mise_config = RawTextField(rows=7, help_text="JSON or mise.toml.")
    lock_config = RawTextField(rows=7, help_text="A devcontainer-lock.json that features go by.")

    class Meta:
        model = Crew
        fields = ("workspace", *FIELDS)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name in TEXTS:
            if name not in self.changed_data:
                cleaned[name] = getattr(
                    self.instance, name
                )  # with the line ends it was stored with
        crew = self.instance
        if crew._state.adding:
            if "workspace" not in cleaned:
                return cleaned
            crew = Crew(workspace=cleaned["workspace"])
        try:
            check_crew(crew, self.values())
        except ConfigInvalid as err:
            self._show(err)
        return cleaned

    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in FIELDS if name in self.cleaned_data}

    def _show(self, error: ConfigInvalid) -> None:
        found: dict[str, list[ValidationError]] = {}
        for problem in error.problems:
            field = field_of(problem)
            text = problem.message if problem.path == field and not problem.line else str(problem)
            found.setdefault(field, []).append(ValidationError(text, code=problem.code))
        for field, problems in found.items():
            if field not in self.errors:  # the form has said it already
                self.add_error(field, problems)


def field_of(problem: Problem) -> str:
    """The form's field that a problem belongs to. ``name`` is mostly the devcontainer
    config's: the crew's own was judged by the form."""
    if (problem.path, problem.code) == ("name", "control_character"):
        return "name"
    head = problem.path.partition(".")[0]
    return (
        head
        if head in {"slug", "runtime_image", "mise_config", "lock_config", *AGENT_LIMITS}
        else "devcontainer_config"
    )


class CrewChangeList(ChangeList):
    """A page of crews with their statuses, without their texts."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Any]:
        return super().get_queryset(request, exclude_parameters).defer(*TEXTS)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        crews = list(self.result_list)
        statuses = short_statuses(crews)
        for crew in crews:
            crew.short_status = statuses[crew.pk]
        self.result_list = crews


@admin.register(Crew)
class CrewAdmin(OperatorAdmin[Crew]):
    form = CrewForm
    list_display = ("slug", "name", "workspace", "status", "cached_image", "updated_at")
    list_select_related = ("workspace",)
    list_filter = ("workspace",)
    search_fields = ("slug", "name", "=id")
    ordering = ("-id",)
    autocomplete_fields = ("workspace",)
    actions = ["provision", "rebuild", "refresh", "cancel", "restart"]
    machine_fields = ("id", "status", "cached_image", "config_hash", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("workspace", "name", "slug")}),
        (
            "Config",
            {"fields": ("runtime_image", *TEXTS, "auto_provision")},
        ),
        ("Each agent gets", {"fields": AGENT_LIMITS}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Crew | None = None) -> Any:
        image = ("Image", {"fields": self.machine_fields})
        return (*self.fieldsets, image) if obj else self.fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Crew | None = None) -> Any:
        return ("workspace", *self.machine_fields) if obj else ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CrewChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Crew]:
        return super().get_queryset(request).select_related("workspace")

    def page_links(self, obj: Crew) -> list[tuple[str, str]]:
        return [
            ("Jobs", rows_of(ProvisionJob, crew__id__exact=obj.pk)),
            ("Agents", rows_of(Agent, crew__id__exact=obj.pk)),
        ]

    def get_page_verbs(self, obj: Crew) -> tuple[str, ...]:
        active = ProvisionJob.objects.filter(crew=obj, state__in=ACTIVE).exists()
        return ("cancel", "restart") if active else ("provision", "rebuild", "refresh", "restart")

    @admin.display(description="status")
    def status(self, crew: Crew) -> str:
        known = getattr(crew, "short_status", None) or short_statuses([crew])[crew.pk]
        return str(known.status.value)

    def save_model(self, request: HttpRequest, obj: Crew, form: Any, change: bool) -> None:
        actor = request.user if isinstance(request.user, User) else None
        saved = save_crew(obj if change else obj.workspace, form.values(), actor=actor)
        obj.pk = saved.crew.pk
        obj.refresh_from_db()
        for warning in saved.warnings:
            messages.warning(request, f"{warning} [{warning.code}]")

    def delete_model(self, request: HttpRequest, obj: Crew) -> None:
        delete_crew(obj, volumes=Volumes.KEEP)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Crew]) -> None:
        for crew in queryset:
            delete_crew(crew, volumes=Volumes.KEEP)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """Counts instead of every row: a crew's jobs may have a million events. Volumes stay, and
        can be deleted in their own list afterwards."""
        crews = list(objs)
        counts = {
            "crews": len(crews),
            "agents": Agent.objects.filter(crew__in=crews).count(),
            "jobs": ProvisionJob.objects.filter(crew__in=crews).count(),
        }
        names = [f"{crew} in {crew.workspace}, its agents and its jobs" for crew in crews]
        kept = AgentVolume.objects.filter(crew_id__in=[crew.pk for crew in crews], delete_at=None)
        names += [f"Not deleted: the volume {volume}" for volume in kept]
        return names, counts, set(), []

    @admin.action(description="Provision")
    def provision(self, request: HttpRequest, queryset: QuerySet[Crew]) -> HttpResponse | None:
        return self._start(request, queryset, "provisioning")

    @admin.action(description="Rebuild")
    def rebuild(self, request: HttpRequest, queryset: QuerySet[Crew]) -> HttpResponse | None:
        return self._start(request, queryset, "rebuild", rebuild=True)

    @admin.action(description="Refresh the image, then restart agents")
    def refresh(self, request: HttpRequest, queryset: QuerySet[Crew]) -> HttpResponse | None:
        return self._start(request, queryset, "refresh", refresh=True)

    @admin.action(description="Restart agents")
    def restart(self, request: HttpRequest, queryset: QuerySet[Crew]) -> HttpResponse | None:
        def verb(crew: Crew) -> str:
            report = restart_agents(crew)
            failed = [f"{agent.name} was not: {agent.error}" for agent in report.failed]
            return "; ".join([f"agents restarted: {report.restarted}", *failed])

        return self.for_each(request, queryset, verb)

    @admin.action(description="Cancel the job")
    def cancel(self, request: HttpRequest, queryset: QuerySet[Crew]) -> HttpResponse | None:
        def verb(crew: Crew) -> str:
            job = cancel_provision(crew)
            return f"cancelled {job}" if job else "no job was active"

        return self.for_each(request, queryset, verb)

    def _start(
        self, request: HttpRequest, queryset: QuerySet[Crew], started: str, **way: bool
    ) -> HttpResponse | None:
        actor = request.user if isinstance(request.user, User) else None

        def verb(crew: Crew) -> str:
            job = request_provision(crew=crew, actor=actor, **way)
            hit = job.state == JobState.COMPLETED
            return f"the image was there ({job})" if hit else f"{started} started as {job}"

        return self.for_each(request, queryset, verb)
