"""Catalog entries as values: the bundled ones, and the rules that fill what a source leaves out.

No database here. ``key`` is what makes two entries the same thing: a feature's path without its
tag, a runtime's mise name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from catalogs.bundled import FEATURES, NAMESPACE
from crewship.registry.collections import CollectionFeature, feature_options

DATA: Final = Path(__file__).with_name("data")
CATEGORIES: Final = ("languages", "tools", "cloud", "databases")

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class FeatureEntry:
    key: str  # ghcr.io/devcontainers/features/python
    ref: str  # the key with its best tag
    name: str = ""
    description: str = ""
    category: str = ""
    icon: str = ""
    size_hint: str = ""
    options: tuple[Json, ...] | None = None  # None: not known

    @property
    def short_id(self) -> str:
        return self.key.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class RuntimeEntry:
    key: str  # mise's name of the tool
    name: str = ""
    description: str = ""
    category: str = ""
    icon: str = ""
    versions: tuple[str, ...] = ()  # newest first
    default_version: str = ""
    backends: tuple[str, ...] = ()


@cache
def rules() -> Json:
    """``data/rules.json``: publishers by rank, words of categories, icons, hints."""
    loaded: Json = json.loads((DATA / "rules.json").read_text(encoding="utf-8"))
    return loaded


@cache
def bundled_features() -> tuple[FeatureEntry, ...]:
    """The fallback: well-known features of others, then our own with their options."""
    known = [
        FeatureEntry(key=raw["ref"].rpartition(":")[0], **raw)
        for raw in json.loads((DATA / "features.json").read_text(encoding="utf-8"))
    ]
    return (*known, *_own_features())


def _own_features() -> Iterable[FeatureEntry]:
    for path in sorted(FEATURES.glob("*/devcontainer-feature.json")):
        raw = json.loads(path.read_text(encoding="utf-8"))
        key = f"{NAMESPACE}/{raw['id']}"
        yield FeatureEntry(
            key=key,
            ref=f"{key}:{raw['version'].partition('.')[0]}",
            name=raw["name"],
            description=raw["description"],
            options=feature_options(raw.get("options", {})),
            **rules()["hints"][key],
        )


@cache
def bundled_runtimes() -> tuple[RuntimeEntry, ...]:
    rows = json.loads((DATA / "runtimes.json").read_text(encoding="utf-8"))
    return tuple(
        RuntimeEntry(
            key=raw.pop("tool"),
            versions=tuple(raw.pop("versions")),
            backends=tuple(raw.pop("backends")),
            **raw,
        )
        for raw in rows
    )


def published_feature(namespace: str, feature: CollectionFeature) -> FeatureEntry:
    """A feature as its publisher lists it; category, icon and size are left to the rules."""
    key = f"{namespace.lower()}/{feature.id}"
    return FeatureEntry(
        key=key,
        ref=f"{key}:{feature.major}",
        name=feature.name,
        description=feature.description,
        options=feature.options,
    )


def publisher_rank(key: str) -> int:
    """0 for the publisher that is preferred where several have a feature of one id."""
    publishers: list[str] = rules()["publishers"]
    namespace = key.rpartition("/")[0]
    return publishers.index(namespace) if namespace in publishers else len(publishers)


def category_of(key: str, name: str) -> str:
    """The first category with a word of the key's last part or the name; else ``tools``."""
    words = set(re.findall(r"[a-z0-9]+", f"{key.rpartition('/')[2]} {name}".lower()))
    for category, listed in rules()["categories"]:
        if words & set(listed):
            return str(category)
    return "tools"


def icon_of(category: str) -> str:
    icons: dict[str, str] = rules()["icons"]
    return icons.get(category, icons["tools"])


def name_of(key: str) -> str:
    """A title for what has none: ``Apache Maven`` of ``…/apache-maven``."""
    words = re.findall(r"[^-_:/@ ]+", key.rpartition("/")[2])
    return " ".join(word[0].upper() + word[1:] for word in words) or key
