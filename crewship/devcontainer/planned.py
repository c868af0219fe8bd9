"""A plan with what is there already, and how it is written as JSON: for command line and API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crewship.devcontainer.types import BuildPlan
from crewship.domain.errors import ConfigInvalid, CrewshipError, FeatureNotFound


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and which of its layers are there (by key; absent where nobody can say)."""

    plan: BuildPlan
    present: Mapping[str, bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # why something is unknown; for people only


def plan_document(planned: Planned) -> dict[str, Any]:  # Any: JSON
    """The output of ``crewship plan --json`` (CONTRACT: the section on the command line)."""
    made = planned.plan
    return {
        "config_hash": made.config_hash,
        "base": str(made.spec.base),
        "features": [
            {
                "ref": feature.request.written_ref,
                "options": feature.request.written_options,
                "env": dict(feature.env),
            }
            for feature in made.features
        ],
        "layers": [
            {
                "kind": layer.kind.value,
                "label": layer.label,
                "key": layer.key,
                "present": planned.present.get(layer.key) if layer.key else None,
            }
            for layer in made.layers
        ],
        "warnings": [warning.as_dict() for warning in made.warnings],
        "error": None,
    }


def error_document(error: CrewshipError) -> dict[str, Any]:  # Any: JSON
    """``{"error": {code, message, path}}``; with several problems the first one's, and all of
    them as ``errors`` beside it."""
    if isinstance(error, ConfigInvalid):
        first = error.problems[0]
        out: dict[str, Any] = {
            "error": {"code": first.code, "message": str(first), "path": first.path}
        }
        if len(error.problems) > 1:
            out["errors"] = [problem.as_dict() for problem in error.problems]
        return out
    code, path = error.error_code, error.extra.get("path")
    if isinstance(error, FeatureNotFound):  # a registry's word for it is feature_not_found
        code, path = "not_found", path or "features"
    return {"error": {"code": code, "message": error.message, "path": path}}
