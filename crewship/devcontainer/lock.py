"""devcontainer-lock.json: which digests tags resolved to, and a config that insists on them.

Format: https://github.com/devcontainers/spec/blob/main/docs/specs/devcontainer-lockfile.md, as the
reference CLI writes it. An entry's key is the reference as the config (or a dependsOn entry) has
it; here ``x`` and ``x:latest`` are one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from crewship.devcontainer.collation import text_key
from crewship.devcontainer.findings import Findings, shorten
from crewship.devcontainer.refs import parse_feature_ref
from crewship.devcontainer.types import (
    FeatureRef,
    FeatureRequest,
    Json,
    LockedFeature,
    ResolvedFeature,
)
from crewship.domain.errors import (
    DigestMismatch,
    FeatureNotFound,
    InvalidFeatureRef,
    LockMismatch,
    RegistryError,
)

LOCK: Final = "lock_config"  # the path of problems with the lock

Resolve = Callable[[FeatureRef], ResolvedFeature | None]
Prefetch = Callable[[Sequence[FeatureRef]], object]


def lock_text(resolved: Iterable[Mapping[str, Json]]) -> str:
    """A devcontainer-lock.json for what a job resolved (``ProvisionJob.resolved_features``)."""
    entries: dict[str, Json] = {}
    for feature in sorted(resolved, key=lambda item: text_key(item["ref"])):
        entry = {
            "version": feature.get("version", ""),
            "resolved": feature["resolved"],
            "integrity": feature["resolved"].rpartition("@")[2],
        }
        if feature.get("depends_on"):
            entry["dependsOn"] = list(feature["depends_on"])
        entries[feature["ref"]] = entry
    return json.dumps({"features": entries}, indent=2, ensure_ascii=False) + "\n"


def read_lock(
    value: Mapping[str, Json], requests: Sequence[FeatureRequest], findings: Findings
) -> tuple[LockedFeature, ...]:
    """The entries that shape this config's image, sorted: those of its features and, along the
    lock's own ``dependsOn``, of what they need. All others are checked and then left out, so that
    a stale entry changes no hash.

    Problems: ``wrong_type``, ``lock_invalid``, ``lock_integrity`` (``resolved`` and ``integrity``
    disagree), ``lock_resource`` (another feature). Warning: ``lock_unused``.
    """
    entries = _read_entries(value.get("features"), findings)
    used = _reachable(entries, [request.ref for request in requests])
    for ref, entry in entries.items():
        if ref not in used:
            findings.warn(entry.path, "lock_unused", "no feature of the config needs this entry")
    locked = [LockedFeature(ref, entries[ref].digest) for ref in used if not ref.digest]
    return tuple(sorted(locked, key=lambda item: str(item.ref)))


class Pins:
    """The lock at work: wraps what resolves and prefetches features."""

    def __init__(self, lock: Sequence[LockedFeature]) -> None:
        self._digests = {item.ref: item.digest for item in lock}

    def resolver(self, resolve: Resolve) -> Resolve:
        """As ``resolve``, but a locked reference gives what its digest names.

        Raises LockMismatch where the registry does not have exactly that.
        """

        def pinned(ref: FeatureRef) -> ResolvedFeature | None:
            digest = self._digests.get(ref)
            if digest is None:
                return resolve(ref)
            try:
                found = resolve(_at(ref, digest))
            except (FeatureNotFound, DigestMismatch) as err:
                raise _mismatch(ref, digest, resolve) from err
            if found is None or found.identity != digest:
                raise _mismatch(ref, digest, resolve)
            return replace(found, ref=ref)

        return pinned

    def prefetcher(self, prefetch: Prefetch) -> Callable[[Sequence[FeatureRef]], None]:
        """As ``prefetch``, for what the lock says. What is not there is left to the resolver,
        which can say whose fault it is."""

        def pinned(refs: Sequence[FeatureRef]) -> None:
            free = [ref for ref in refs if ref not in self._digests]
            held = [_at(ref, self._digests[ref]) for ref in refs if ref in self._digests]
            try:
                prefetch([*free, *held])
            except (FeatureNotFound, DigestMismatch):
                if not held:
                    raise

        return pinned


def _at(ref: FeatureRef, digest: str) -> FeatureRef:
    return replace(ref, tag="", digest=digest)


def _mismatch(ref: FeatureRef, digest: str, resolve: Resolve) -> LockMismatch:
    try:
        now = resolve(ref)
    except (FeatureNotFound, RegistryError):
        now = None
    there = f"the registry has {now.identity} under that tag" if now else "the tag is gone, too"
    return LockMismatch(
        f"The lock has {ref} at {digest}, which the registry does not have; {there}.",
        extra={"feature": str(ref), "locked": digest, "found": now.identity if now else None},
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    digest: str
    depends_on: tuple[FeatureRef, ...]


def _read_entries(value: Json, findings: Findings) -> dict[FeatureRef, _Entry]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        findings.wrong_type(f"{LOCK}.features", "an object of feature references", value)
        return {}
    entries: dict[FeatureRef, _Entry] = {}
    for written, parts in value.items():
        path = f"{LOCK}.features.{written}"
        ref = _ref(written)
        if ref is None:  # a tarball's URL, say: no config here can name it
            findings.warn(path, "lock_unused", "no feature of a registry")
            continue
        entry = _read_entry(ref, parts, path, findings)
        if entry is None:
            continue
        if entries.setdefault(ref, entry).digest != entry.digest:
            findings.problem(path, "lock_invalid", f"{ref} is here twice with two digests")
    return entries


def _read_entry(ref: FeatureRef, parts: Json, path: str, findings: Findings) -> _Entry | None:
    if not isinstance(parts, dict):
        findings.wrong_type(path, "an object", parts)
        return None
    for name in ("resolved", "integrity"):
        if not isinstance(parts.get(name), str):
            findings.wrong_type(f"{path}.{name}", "a string", parts.get(name))
            return None
    needs = parts.get("dependsOn") or []
    if not isinstance(needs, list) or not all(isinstance(item, str) for item in needs):
        findings.wrong_type(f"{path}.dependsOn", "an array of strings", needs)
        return None
    resolved, integrity = _ref(parts["resolved"]), parts["integrity"].lower()
    if resolved is None or not resolved.digest:
        message = f"{shorten(parts['resolved'])!r} is no feature at a sha256 digest"
        findings.problem(f"{path}.resolved", "lock_invalid", message)
    elif resolved.resource != ref.resource:
        message = f"it points at another feature: {resolved.resource}"
        findings.problem(f"{path}.resolved", "lock_resource", message)
    elif integrity != resolved.digest:
        message = f"{shorten(integrity)} is not the digest of resolved, {resolved.digest}"
        findings.problem(f"{path}.integrity", "lock_integrity", message)
    elif ref.digest and ref.digest != resolved.digest:
        message = "the entry's own name has another digest"
        findings.problem(f"{path}.resolved", "lock_integrity", message)
    else:
        known = (_ref(item) for item in needs)
        return _Entry(path, resolved.digest, tuple(item for item in known if item is not None))
    return None


def _reachable(
    entries: Mapping[FeatureRef, _Entry], start: Iterable[FeatureRef]
) -> frozenset[FeatureRef]:
    found: set[FeatureRef] = set()
    ahead = list(start)
    while ahead:
        ref = ahead.pop()
        if ref in entries and ref not in found:
            found.add(ref)
            ahead += entries[ref].depends_on
    return frozenset(found)


def _ref(text: str) -> FeatureRef | None:
    try:
        return parse_feature_ref(text)
    except InvalidFeatureRef:
        return None
