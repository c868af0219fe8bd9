"""The routes below /api/v1. None has a trailing slash."""

from __future__ import annotations

from django.urls import path, re_path

from crewship.api.agents import AgentsViewSet
from crewship.api.audit import AuditViewSet
from crewship.api.authoring import CrewPlanViewSet, ImportViewSet, PlanViewSet
from crewship.api.catalogs import FeatureCatalogViewSet, RuntimeCatalogViewSet
from crewship.api.crews import CrewsViewSet
from crewship.api.docs import DocsView, SchemaView
from crewship.api.fallback import UnknownRoute
from crewship.api.me import MeViewSet
from crewship.api.members import MembersViewSet
from crewship.api.tokens import TokensViewSet
from crewship.api.workspaces import WorkspacesViewSet
from provisioning.api.cache_views import CachedImageViewSet
from provisioning.api.streams import CrewStreamViewSet, WorkspaceStreamViewSet
from provisioning.api.views import JobViewSet, ProvisionViewSet

urlpatterns = [
    path("schema", SchemaView.as_view(), name="schema"),
    path("docs", DocsView.as_view(url_name="schema"), name="docs"),
    path("me", MeViewSet.as_view({"get": "retrieve"})),
    path("workspaces", WorkspacesViewSet.as_view({"get": "list"})),
    path("members", MembersViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "members/<str:member_id>",
        MembersViewSet.as_view({"patch": "partial_update", "delete": "destroy"}),
    ),
    path("audit", AuditViewSet.as_view({"get": "list"})),
    path("tokens", TokensViewSet.as_view({"get": "list", "post": "create"})),
    path("tokens/<str:token_id>", TokensViewSet.as_view({"delete": "destroy"})),
    path("features/catalog", FeatureCatalogViewSet.as_view({"get": "list"})),
    path("features/catalog/<path:ref>", FeatureCatalogViewSet.as_view({"get": "retrieve"})),
    path("runtimes/catalog", RuntimeCatalogViewSet.as_view({"get": "list"})),
    path("crews", CrewsViewSet.as_view({"get": "list", "post": "create"})),
    path("crews/import", ImportViewSet.as_view({"post": "create"})),
    path(
        "crews/<str:crew_id>",
        CrewsViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path(
        "crews/<str:crew_id>/provision",
        ProvisionViewSet.as_view({"get": "status", "post": "provision"}),
    ),
    path("crews/<str:crew_id>/provision/cancel", ProvisionViewSet.as_view({"post": "cancel"})),
    path("crews/<str:crew_id>/provision/events", CrewStreamViewSet.as_view({"get": "events"})),
    path("crews/<str:crew_id>/rebuild", ProvisionViewSet.as_view({"post": "rebuild"})),
    path("crews/<str:crew_id>/refresh-image", ProvisionViewSet.as_view({"post": "refresh_image"})),
    path("crews/<str:crew_id>/image-status", ProvisionViewSet.as_view({"get": "image_status"})),
    path(
        "crews/<str:crew_id>/restart-agents",
        ProvisionViewSet.as_view({"post": "restart_agents"}),
    ),
    path("crews/<str:crew_id>/agents", AgentsViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "crews/<str:crew_id>/agents/<str:agent_id>",
        AgentsViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path(
        "crews/<str:crew_id>/agents/<str:agent_id>/start", AgentsViewSet.as_view({"post": "start"})
    ),
    path("crews/<str:crew_id>/agents/<str:agent_id>/stop", AgentsViewSet.as_view({"post": "stop"})),
    path("crews/<str:crew_id>/agents/<str:agent_id>/logs", AgentsViewSet.as_view({"get": "logs"})),
    path("crews/<str:crew_id>/plan", CrewPlanViewSet.as_view({"post": "plan"})),
    path("crews/<str:crew_id>/export", CrewPlanViewSet.as_view({"get": "export"})),
    path("plan", PlanViewSet.as_view({"post": "plan"})),
    path("crews/<str:crew_id>/lock", ProvisionViewSet.as_view({"get": "lock"})),
    path("crews/<str:crew_id>/jobs", ProvisionViewSet.as_view({"get": "jobs"})),
    path("jobs/<str:job_id>", JobViewSet.as_view({"get": "retrieve"})),
    path("jobs/<str:job_id>/log", JobViewSet.as_view({"get": "log"})),
    path("events", WorkspaceStreamViewSet.as_view({"get": "events"})),
    path("cache/images", CachedImageViewSet.as_view({"get": "list"})),
    # Not <path:tag>: a tag that cannot be one may hold a newline.
    re_path(r"^cache/images/(?P<tag>[\s\S]+)\Z", CachedImageViewSet.as_view({"delete": "destroy"})),
    re_path(r"^", UnknownRoute.as_view()),  # not `.*`: a path may hold a newline
]
