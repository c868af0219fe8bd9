"""The URL tree."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from crewship.api.health import readyz
from crewship.web.health import healthz

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin/", admin.site.urls),
    path("api/v1/", include("crewship.api.urls")),
    path("", include("crewship.dashboard.urls")),
]
