from __future__ import annotations

from django.apps import AppConfig


class CrewsConfig(AppConfig):
    name = "crewship.crews"
    label = "crews"
    verbose_name = "Crews"
