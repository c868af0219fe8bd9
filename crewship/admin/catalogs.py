"""The catalogs: fetched entries to look at and hide, operators' own to write."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse

from catalogs.models import CUSTOM, CatalogEntry, CatalogState
from catalogs.services import delete_custom, hide, save_custom
from crewship.admin.pages import OperatorAdmin, ReadOnlyAdmin


@admin.register(CatalogEntry)
class CatalogEntryAdmin(OperatorAdmin[CatalogEntry]):
    """Bundled entries are no rows here: an entry with their reference changes or hides them."""

    list_display = ("ref", "kind", "origin", "name", "category", "hidden", "updated_at")
    list_filter = ("kind", "source", "category", "hidden")
    search_fields = ("ref", "name", "description")
    ordering = ("kind", "ref", "source")
    actions = ["hide_entries", "show_entries"]
    page_verbs = ("hide_entries", "show_entries")
    fieldsets = (
        (
            None,
            {
                "fields": ("kind", "ref", "hidden"),
                "description": "An entry with the reference of a bundled or fetched one goes over "
                "it; what is left empty shows through. No entry allows a publisher: that is "
                "CREWSHIP_FEATURE_PUBLISHERS.",
            },
        ),
        ("Shown", {"fields": ("name", "description", "category", "icon")}),
        ("Features", {"fields": ("size_hint",)}),
        ("Runtimes", {"fields": ("versions", "default_version", "backends")}),
    )

    @admin.display(description="from", ordering="source")
    def origin(self, entry: CatalogEntry) -> str:
        return entry.source or "an operator"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or obj.source == CUSTOM

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or obj.source == CUSTOM

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("kind",)

    def save_model(
        self,
        request: HttpRequest,
        obj: CatalogEntry,
        form: ModelForm[CatalogEntry],
        change: bool,
    ) -> None:
        save_custom(obj)

    def delete_model(self, request: HttpRequest, obj: CatalogEntry) -> None:
        delete_custom([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CatalogEntry]) -> None:
        delete_custom(queryset)

    @admin.action(description="Hide from the list")
    def hide_entries(
        self, request: HttpRequest, queryset: QuerySet[CatalogEntry]
    ) -> HttpResponse | None:
        def verb(entry: CatalogEntry) -> str:
            hide(entry)
            return "hidden"

        return self.for_each(request, queryset, verb)

    @admin.action(description="Show in the list")
    def show_entries(
        self, request: HttpRequest, queryset: QuerySet[CatalogEntry]
    ) -> HttpResponse | None:
        def verb(entry: CatalogEntry) -> str:
            hide(entry, hidden=False)
            return "shown"

        return self.for_each(request, queryset, verb)


@admin.register(CatalogState)
class CatalogStateAdmin(ReadOnlyAdmin[CatalogState]):
    list_display = ("kind", "fetched_at", "attempted_at", "fetching_until", "error")
    ordering = ("kind",)
    fields = ("kind", "fetched_at", "attempted_at", "fetching_until", "error")
