"""Agents and their volumes. Secret values are set over the API; no page has a field for them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from crewship.admin.pages import OperatorAdmin, ReadOnlyAdmin, link, pretty
from crewship.crews.agent_env import shown_env
from crewship.crews.agents import check_agent, create_agent, update_agent
from crewship.crews.models import Agent, Crew
from crewship.domain.errors import ConfigInvalid
from crewship.domain.roles import Role
from crewship.workspaces.models import User
from provisioning.agents.removals import delete_agent
from provisioning.agents.services import start_agent, stop_agent
from provisioning.deletion import give_up_volume
from provisioning.models import AgentVolume


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]  # takes no argument at run time
    command = forms.CharField(widget=forms.Textarea(attrs={"rows": 4}), strip=False)

    class Meta:
        model = Agent
        fields = ("crew", "name", "command")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        agent = self.instance
        if agent._state.adding:
            if "crew" not in cleaned:
                return cleaned
            agent = Agent(crew=cleaned["crew"])
        try:
            check_agent(agent, self.values())
        except ConfigInvalid as err:
            for problem in err.problems:
                if problem.path not in self.errors:
                    self.add_error(problem.path, problem.message)
        return cleaned

    def values(self) -> dict[str, Any]:
        return {k: self.cleaned_data[k] for k in ("name", "command") if k in self.cleaned_data}


@admin.register(Agent)
class AgentAdmin(OperatorAdmin[Agent]):
    form = AgentForm
    list_display = ("name", "crew", "workspace", "status", "live_image_id")
    list_select_related = ("crew__workspace",)
    list_filter = ("status", "wants_running")
    search_fields = ("name", "crew__slug", "=id")
    ordering = ("-id",)
    autocomplete_fields = ("crew",)
    actions = ["start", "stop"]
    page_verbs = ("start", "stop")
    machine_fields = (
        "id", "environment", "wants_running", "status", "error", "exit_code", "restarts",
        "host_name", "container_id", "live_image_id", "started_at", "created_at",
    )  # fmt: skip

    def get_fields(self, request: HttpRequest, obj: Agent | None = None) -> Any:
        written = ("crew", "name", "command")
        return (*written, *self.machine_fields) if obj else written

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> Any:
        return ("crew", *self.machine_fields) if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        agents: QuerySet[Agent] = super().get_queryset(request)
        texts = ("crew__devcontainer_config", "crew__mise_config")
        return agents.select_related("crew__workspace").defer(*texts)

    @admin.display(description="workspace", ordering="crew__workspace__slug")
    def workspace(self, agent: Agent) -> str:
        return agent.crew.workspace.slug

    @admin.display(description="environment")
    def environment(self, agent: Agent) -> SafeString:
        return pretty(shown_env(agent, with_secrets=True))

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        if change:
            update_agent(obj, form.values(), actor_role=Role.OWNER)
        else:
            obj.pk = create_agent(obj.crew, form.values(), actor_role=Role.OWNER).pk
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: Agent) -> None:
        delete_agent(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        for agent in queryset:
            delete_agent(agent)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """Without every chunk of their logs."""
        agents = list(objs)
        names = [f"{agent} of {agent.crew}, its container and its log" for agent in agents]
        return names, {"agents": len(agents)}, set(), []

    @admin.action(description="Start")
    def start(self, request: HttpRequest, queryset: QuerySet[Agent]) -> HttpResponse | None:
        actor = request.user if isinstance(request.user, User) else None
        return self.for_each(request, queryset, lambda agent: start_agent(agent, actor).status)

    @admin.action(description="Stop")
    def stop(self, request: HttpRequest, queryset: QuerySet[Agent]) -> HttpResponse | None:
        return self.for_each(request, queryset, lambda agent: stop_agent(agent).status)


@admin.register(AgentVolume)
class AgentVolumeAdmin(ReadOnlyAdmin[AgentVolume]):
    """Volumes with agents' data, those of deleted crews too."""

    list_display = ("name", "crew", "target", "host_name", "created_at", "delete_at")
    list_filter = ("host_name", ("delete_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "=crew_id")
    ordering = ("-id",)
    actions = ["remove"]

    @admin.display(description="crew")
    def crew(self, volume: AgentVolume) -> SafeString | str:
        return link(Crew(pk=volume.crew_id, slug=volume.crew_id))

    @admin.action(description="Remove volumes of crews that are gone")
    def remove(self, request: HttpRequest, queryset: QuerySet[AgentVolume]) -> HttpResponse | None:
        def verb(volume: AgentVolume) -> str:
            give_up_volume(volume)
            return "to be removed by its host"

        return self.for_each(request, queryset, verb)
