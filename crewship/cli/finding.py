"""One thing that ``crewship doctor`` looked at, and how it is."""

from __future__ import annotations

from dataclasses import dataclass

from crewship.cli.marks import Mark


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    mark: Mark
    text: str
    hint: str = ""
