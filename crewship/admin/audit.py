"""The audit trail of all workspaces, to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from crewship.admin.pages import ReadOnlyAdmin, pretty
from crewship.workspaces.actor import Via
from crewship.workspaces.audit import AuditAction
from crewship.workspaces.models import AuditEvent


class ActionFilter(admin.SimpleListFilter):
    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(str(action), str(action)) for action in AuditAction]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(action=chosen) if chosen else queryset


class ViaFilter(ActionFilter):
    title = "via"
    parameter_name = "via"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(str(via), str(via)) for via in Via]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(via=chosen) if chosen else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin[AuditEvent]):
    list_display = ("at", "action", "target_label", "actor_label", "via", "workspace_label")
    list_filter = (ActionFilter, ViaFilter)
    search_fields = ("target_label", "actor_label", "workspace_label", "=target_id", "=request_id")
    ordering = ("-id",)
    fields = (
        "at",
        "action",
        "workspace_label",
        "actor_label",
        "token_name",
        "via",
        "target_type",
        "target_id",
        "target_label",
        "data_text",
        "request_id",
    )

    @admin.display(description="data")
    def data_text(self, event: AuditEvent) -> SafeString:
        return pretty(event.data)
