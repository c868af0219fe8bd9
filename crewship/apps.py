"""The project as an app, so that its system checks are registered."""

from __future__ import annotations

from django.apps import AppConfig


class CrewshipConfig(AppConfig):
    name = "crewship"
    verbose_name = "Crewship"

    def ready(self) -> None:
        from crewship import checks  # noqa: F401  # importing registers them; apps must be loaded
