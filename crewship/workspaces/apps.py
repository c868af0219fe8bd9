from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    name = "crewship.workspaces"
    label = "workspaces"
    verbose_name = "Workspaces"

    def ready(self) -> None:
        import_module("crewship.workspaces.standing_news")  # connects its receivers
