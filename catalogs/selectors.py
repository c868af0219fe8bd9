"""Reading the catalogs: operators' entries over fetched over bundled, one list a revision.

No request waits for a network here. A process merges the rows once per revision; after that a
request costs one query.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Generic, TypeVar

from catalogs.entries import (
    FeatureEntry,
    RuntimeEntry,
    bundled_features,
    bundled_runtimes,
    category_of,
    icon_of,
    name_of,
    publisher_rank,
)
from catalogs.models import CUSTOM, CatalogEntry, CatalogKind, CatalogState
from crewship.devcontainer.refs import parse_feature_ref
from crewship.domain.errors import NotFound

E = TypeVar("E", FeatureEntry, RuntimeEntry)
Rows = tuple[CatalogEntry, ...]


class FeatureUnknown(NotFound):
    code = "feature_unknown"
    hint = "GET /features/catalog lists what is known; others can be used all the same."


@dataclass(frozen=True, slots=True)
class Catalog(Generic[E]):
    """``listed`` is what the lists show, by name; ``known`` has the second-best too, by key."""

    listed: tuple[E, ...]
    known: Mapping[str, E]
    etag: str  # of the listed entries, 32 hex digits


def feature_catalog() -> Catalog[FeatureEntry]:
    return _features(_revision(CatalogKind.FEATURE))


def runtime_catalog() -> Catalog[RuntimeEntry]:
    return _runtimes(_revision(CatalogKind.RUNTIME))


def search(entries: Iterable[E], text: str) -> list[E]:
    """Those with ``text`` in name, description or category, whatever the case."""
    wanted = text.casefold()
    return [
        entry
        for entry in entries
        if any(wanted in x.casefold() for x in (entry.name, entry.description, entry.category))
    ]


def feature_details(text: str) -> FeatureEntry:
    """The entry of a reference, with or without tag, also where another publisher's is listed.

    Raises InvalidFeatureRef, FeatureUnknown.
    """
    ref = parse_feature_ref(text)
    entry = feature_catalog().known.get(ref.resource)
    if entry is None:
        raise FeatureUnknown(f"The catalog has no {ref.resource}.")
    return entry


def default_versions() -> Mapping[str, str]:
    """What is installed for a mise tool that a crew names with an empty version; a tool that is
    not in here gets ``latest``."""
    known = runtime_catalog().known
    return {tool: entry.default_version for tool, entry in known.items() if entry.default_version}


def _revision(kind: CatalogKind) -> str:
    found = CatalogState.objects.filter(pk=kind).values_list("revision", flat=True).first()
    return found or ""


# A revision is never given twice, so what is remembered under it stays right. A reader that is
# overtaken by a refresh remembers newer rows under the older name, which nobody asks for again.
@lru_cache(maxsize=2)
def _features(revision: str) -> Catalog[FeatureEntry]:
    layers: list[FeatureEntry] = list(bundled_features())
    rows = _rows(CatalogKind.FEATURE) if revision else ()
    layers += [_feature(row) for row in rows if row.source != CUSTOM]
    custom = [row for row in rows if row.source == CUSTOM]
    merged: dict[str, FeatureEntry] = {}
    for entry in [*layers, *map(_feature, custom)]:
        below = merged.get(entry.key)
        merged[entry.key] = entry if below is None else _over(below, entry)
    hidden = {row.key for row in custom if row.hidden}
    known = {key: _complete(entry) for key, entry in merged.items() if key not in hidden}
    listed = _best(known.values(), {row.key for row in custom})
    return Catalog(_sorted(listed), known, _digest(listed))


@lru_cache(maxsize=2)
def _runtimes(revision: str) -> Catalog[RuntimeEntry]:
    rows = _rows(CatalogKind.RUNTIME) if revision else ()
    merged = {entry.key: entry for entry in bundled_runtimes()}
    for row in sorted(rows, key=lambda row: row.source == CUSTOM):
        entry, below = _runtime(row), merged.get(row.key)
        merged[row.key] = entry if below is None else _over(below, entry)
    hidden = {row.key for row in rows if row.hidden and row.source == CUSTOM}
    known = {key: _complete(entry) for key, entry in merged.items()}
    listed = [entry for key, entry in known.items() if key not in hidden]
    return Catalog(_sorted(listed), known, _digest(listed))


def _rows(kind: CatalogKind) -> Rows:
    return tuple(CatalogEntry.objects.filter(kind=kind).order_by("source", "key"))


def _feature(row: CatalogEntry) -> FeatureEntry:
    return FeatureEntry(
        key=row.key,
        ref=row.ref,
        name=row.name,
        description=row.description,
        category=row.category,
        icon=row.icon,
        size_hint=row.size_hint,
        options=None if row.options is None else tuple(row.options),
    )


def _runtime(row: CatalogEntry) -> RuntimeEntry:
    return RuntimeEntry(
        key=row.key,
        name=row.name,
        description=row.description,
        category=row.category,
        icon=row.icon,
        versions=tuple(row.versions),
        default_version=row.default_version,
        backends=tuple(row.backends),
    )


def _over(below: E, above: E) -> E:
    """``above``, and what it leaves empty from ``below``."""
    given = {n: v for n in above.__slots__ if (v := getattr(above, n)) not in ("", (), None)}
    return replace(below, **given)


def _complete(entry: E) -> E:
    """Nothing that a list shows is empty but description, size and versions."""
    name = entry.name or name_of(entry.key)
    category = entry.category or category_of(entry.key, name)
    return replace(entry, name=name, category=category, icon=entry.icon or icon_of(category))


def _best(entries: Iterable[FeatureEntry], kept: set[str]) -> list[FeatureEntry]:
    """One for each short id: the publisher with the lowest rank, then the smaller reference.
    ``kept`` (operators' entries) stay beside them: who added one wants to see it."""
    best: list[FeatureEntry] = []
    taken: set[str] = set()
    for entry in sorted(entries, key=lambda e: (publisher_rank(e.key), e.ref)):
        if entry.short_id not in taken or entry.key in kept:
            best.append(entry)
        taken.add(entry.short_id)
    return best


def _sorted(entries: Iterable[E]) -> tuple[E, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.name.casefold(), entry.key)))


def _digest(entries: Iterable[E]) -> str:
    text = json.dumps([[repr(entry)] for entry in _sorted(entries)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
