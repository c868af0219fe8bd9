"""A crew's texts under way: values that a rule can still break, then texts, then a body."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.fuzz import valid
from tests.fuzz.writing import to_json, to_toml

Json = Any


@dataclass
class Draft:
    """``*_text`` stands for the value beside it where it is set; None has no such text."""

    config: dict[str, Json] | None = None
    mise: dict[str, Json] | None = None
    lock: dict[str, Json] | None = None
    runtime_image: str | None = None
    config_text: str | None = None
    mise_text: str | None = None
    lock_text: str | None = None
    more: dict[str, Json] = field(default_factory=dict)  # of the body

    def texts(self, rng: Random) -> dict[str, str | None]:
        return {
            "devcontainer_config": self.config_text or _text(rng, self.config),
            "mise_config": self.mise_text or self._mise(rng),
            "lock_config": self.lock_text or _text(rng, self.lock),
            "runtime_image": self.runtime_image,
        }

    def _mise(self, rng: Random) -> str | None:
        if self.mise and rng.random() < 0.5 and _fits_toml(self.mise):
            return to_toml(rng, self.mise)
        return _text(rng, self.mise)


def legal(rng: Random) -> Draft:
    """Texts that are accepted together."""
    draft = Draft(config=valid.config(rng) if rng.random() < 0.9 else None)
    config = draft.config or {}
    if "mise" not in config and rng.random() < 0.5:
        draft.mise = valid.mise(rng)
    if config.get("features") and rng.random() < 0.3:
        draft.lock = valid.lock(rng, config)
    if rng.random() < 0.3:
        draft.runtime_image = valid.image(rng)
    return draft


def _text(rng: Random, value: Json) -> str | None:
    return None if value is None else to_json(rng, value)


def _fits_toml(config: dict[str, Json]) -> bool:
    """TOML has no null, and a table for each top-level key."""
    tables = all(isinstance(table, dict) for table in config.values())
    return tables and "null" not in json.dumps(config)
