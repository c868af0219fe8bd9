"""The image cache and the Docker hosts: to look at; an unused image can be deleted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from cache.hosts import HEARTBEAT_LOST_AFTER
from cache.models import CachedImage, DockerHost, HostImage, Layer, UpkeepProblem
from cache.selectors import live_agents_on
from cache.services import delete_image_as_operator
from crewship.admin.pages import ReadOnlyAdmin, job_link, link, pretty
from crewship.crews.models import Crew


def _size(row: Any) -> str:
    # U+00A0 would make the column's text hard to search for.
    return filesizeformat(row.size_bytes).replace("\xa0", " ")


def _seen_on_host() -> Exists:
    """Whether the watcher last saw the recorded id under the row's tag."""
    return Exists(
        HostImage.objects.filter(
            host=OuterRef("host"), tag=OuterRef("tag"), image_id=OuterRef("image_id")
        )
    )


@admin.register(CachedImage)
class CachedImageAdmin(ReadOnlyAdmin[CachedImage]):
    list_display = ("tag", "host", "on_host", "crew_count", "size", "created_at", "last_used_at")
    list_select_related = ("host",)
    search_fields = ("tag", "^config_hash", "^image_id")
    list_filter = ("host",)
    ordering = ("-created_at", "tag")
    actions = ["delete_from_host"]
    page_verbs = ("delete_from_host",)
    fieldsets = (
        (None, {"fields": ("tag", "host", "on_host", "size", "crews", "live_agents")}),
        (
            "Record",
            {
                "fields": (
                    "config_hash",
                    "image_id",
                    "parent_image_id",
                    "job",
                    "created_at",
                    "last_used_at",
                    "deleting_at",
                )
            },
        ),
        ("Made of", {"fields": ("provenance_text",)}),
        ("What agents need at start", {"fields": ("requirements_text",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[CachedImage]:
        crews = Crew.objects.filter(cached_image=OuterRef("tag")).order_by().values("cached_image")
        counted = crews.annotate(number=Count("pk")).values("number")
        queryset: QuerySet[CachedImage] = super().get_queryset(request)
        return queryset.select_related("host").annotate(
            on_host=_seen_on_host(),
            crew_count=Coalesce(Subquery(counted, output_field=IntegerField()), 0),
        )

    @admin.display(boolean=True, description="on the host")
    def on_host(self, image: Any) -> bool:
        return bool(image.on_host)

    @admin.display(description="crews", ordering="crew_count")
    def crew_count(self, image: Any) -> int:
        return int(image.crew_count)

    @admin.display(description="size", ordering="size_bytes")
    def size(self, image: CachedImage) -> str:
        return _size(image)

    @admin.display(description="crews that reference it")
    def crews(self, image: CachedImage) -> SafeString | str:
        crews = Crew.objects.filter(cached_image=image.tag).select_related("workspace")
        rows = ((crew.workspace, link(crew)) for crew in crews.order_by("id"))
        return format_html_join(", ", "{} / {}", rows) or "none"

    @admin.display(description="agents that run it now")
    def live_agents(self, image: CachedImage) -> SafeString | str:
        agents = live_agents_on(image.image_id).select_related("crew").order_by("id")
        rows = ((agent.crew, link(agent)) for agent in agents)
        return format_html_join(", ", "{} / {}", rows) or "none"

    @admin.display(description="made by")
    def job(self, image: CachedImage) -> SafeString | str:
        return job_link(image.job_id)

    @admin.display(description="provenance")
    def provenance_text(self, image: CachedImage) -> SafeString:
        return pretty(image.provenance)

    @admin.display(description="requirements")
    def requirements_text(self, image: CachedImage) -> SafeString:
        return pretty(image.requirements)

    @admin.action(description="Delete from the host")
    def delete_from_host(
        self, request: HttpRequest, queryset: QuerySet[CachedImage]
    ) -> HttpResponse | None:
        """Refused while a crew or agent uses the image, so what goes can be built again."""

        def verb(image: CachedImage) -> str:
            delete_image_as_operator(image.tag)
            return "deleted"

        return self.for_each(request, queryset, verb)


@admin.register(Layer)
class LayerAdmin(ReadOnlyAdmin[Layer]):
    list_display = ("label", "kind", "short_key", "host", "on_host", "size", "last_used_at")
    list_select_related = ("host",)
    list_filter = ("kind", "host")
    search_fields = ("label", "^key", "^image_id", "=job_id")
    ordering = ("-id",)
    fields = (
        "label",
        "kind",
        "host",
        "tag",
        "key",
        "image_id",
        "parent_image_id",
        "size",
        "job",
        "created_at",
        "last_used_at",
        "parts_text",
        "facts_text",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Layer]:
        queryset: QuerySet[Layer] = super().get_queryset(request)
        return queryset.select_related("host").annotate(on_host=_seen_on_host())

    @admin.display(boolean=True, description="on the host")
    def on_host(self, layer: Any) -> bool:
        return bool(layer.on_host)

    @admin.display(description="key", ordering="key")
    def short_key(self, layer: Layer) -> str:
        return layer.key[:12] or "-"

    @admin.display(description="size", ordering="size_bytes")
    def size(self, layer: Layer) -> str:
        return _size(layer)

    @admin.display(description="made by")
    def job(self, layer: Layer) -> SafeString | str:
        return job_link(layer.job_id)

    @admin.display(description="what the key is made of")
    def parts_text(self, layer: Layer) -> SafeString:
        return pretty(layer.parts)

    @admin.display(description="what the build found out")
    def facts_text(self, layer: Layer) -> SafeString:
        return pretty(layer.facts)


@admin.register(DockerHost)
class DockerHostAdmin(ReadOnlyAdmin[DockerHost]):
    """Hosts register themselves; their age is by the database's clock, like their heartbeat."""

    list_display = ("name", "alive", "heartbeat_age", "platform", "engine_version", "created_at")
    search_fields = ("name", "=id", "=engine_id")
    ordering = ("created_at",)
    fields = (
        "id",
        "name",
        "alive",
        "heartbeat_age",
        "heartbeat_at",
        "platform",
        "engine_version",
        "engine_id",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[DockerHost]:
        queryset: QuerySet[DockerHost] = super().get_queryset(request)
        alive = Exists(
            DockerHost.objects.filter(
                Q(heartbeat_at__gt=Now() - HEARTBEAT_LOST_AFTER), pk=OuterRef("pk")
            )
        )
        return queryset.annotate(alive=alive, database_now=Now())

    @admin.display(boolean=True, description="alive")
    def alive(self, host: Any) -> bool:
        return bool(host.alive)

    @admin.display(description="last heartbeat", ordering="heartbeat_at")
    def heartbeat_age(self, host: Any) -> str:
        if host.heartbeat_at is None:
            return "never"
        age = max(0.0, (host.database_now - host.heartbeat_at).total_seconds())
        return f"{age:.0f} s ago" if age < 120 else f"{age / 60:.0f} min ago"


@admin.register(UpkeepProblem)
class UpkeepProblemAdmin(ReadOnlyAdmin[UpkeepProblem]):
    """What upkeep could not do: it is tried again by itself, and the row goes when it is done."""

    list_display = ("kind", "name", "host", "error", "tries", "first_at", "retry_at")
    list_select_related = ("host",)
    list_filter = ("kind", "host")
    search_fields = ("name", "error", "=code")
    ordering = ("first_at", "pk")
    fields = (
        "kind", "name", "host", "error", "code", "tries", "first_at", "last_at", "retry_at",
    )  # fmt: skip
