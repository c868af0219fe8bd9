"""The plan of a config before it is saved: layers in order, what is there, what will be built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crewship.crews.models import Crew
from crewship.dashboard.editor_form import posted_texts
from crewship.domain.errors import ConfigInvalid, CrewshipError
from provisioning.dry_run import plan_crew


def preview(crew: Crew, data: Mapping[str, Any]) -> dict[str, Any]:  # Any: form values, JSON
    """The document of ``crewship plan --json`` for the form's values, with ``headline`` and
    ``unchanged`` (against what is stored); where there is none, with ``error`` alone."""
    texts = {name: text or None for name, text in posted_texts(data).items()}
    values = {**texts, "runtime_image": (data.get("runtime_image") or "").strip()}
    try:
        plan = plan_crew(crew, values)
    except ConfigInvalid:
        return {"error": {"message": "There is no plan for a config with problems."}}
    except CrewshipError as err:
        return {"error": {"message": f"{err.message} {err.error_hint}".strip()}}
    unchanged = plan["config_hash"] == crew.config_hash
    return {**plan, "headline": _headline(plan), "unchanged": unchanged}


def _headline(plan: Mapping[str, Any]) -> str:  # Any: JSON
    total, missing = len(plan["layers"]), plan["would_build"]
    if plan["cached_image"]:
        return f"Nothing to build: {plan['cached_image']} is there."
    if missing is None:
        return "What is cached is known after the first build on this base image."
    return f"{missing} of {total} layers will be built."
