"""The project as an app, so that its system checks are registered, and its admin site."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class CrewshipConfig(AppConfig):
    name = "crewship"
    verbose_name = "Crewship"

    def ready(self) -> None:
        from crewship import checks  # noqa: F401  # importing registers them; apps must be loaded


class OperatorAdminConfig(AdminConfig):
    """``django.contrib.admin`` with a site that only superusers may enter."""

    default_site = "crewship.admin_site.CrewshipAdminSite"
