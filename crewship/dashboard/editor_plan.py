"""The plan of a config before it is saved: layers in order, what is there, what will be built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crewship.crews.models import Crew
from crewship.workspaces.scope import Scope


def preview(scope: Scope, crew: Crew, data: Mapping[str, Any]) -> dict[str, Any] | None:
    return None
