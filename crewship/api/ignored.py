"""Fields that a body has and its route does not know: they change nothing, and are told."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from crewship.devcontainer.findings import Findings
from crewship.domain.errors import Problem

MAX_TOLD: Final = 20  # a body may have very many


def ignored_fields(body: Any, known: Collection[str]) -> tuple[Problem, ...]:  # Any: JSON
    """A ``field_ignored`` for each of the body's fields that is not ``known``, in their order, at
    most MAX_TOLD. Known is also what an answer has: clients send back what they read."""
    findings = Findings()
    for name in [name for name in body if name not in known][:MAX_TOLD]:
        findings.warn(name, "field_ignored", "There is no such field; it was ignored.")
    return tuple(findings.warnings)
