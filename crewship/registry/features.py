"""Features over OCI: a reference becomes content by digest, metadata, and a safe tar.

Two places hold a feature's metadata: the manifest's annotation ``dev.containers.metadata`` and the
devcontainer-feature.json in the archive. ``resolve`` takes the annotation, because ordering must
look at many features and needs no download for it; where a publisher has none (or a broken one),
it reads the archive. What is installed is the archive: ``installable`` gives the feature with the
archive's metadata, which wins wherever the two differ. Both answers depend on the digest alone.

Every error names the reference that the user (or a dependsOn entry) wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from crewship.devcontainer.metadata import parse_feature_metadata
from crewship.devcontainer.types import FeatureMetadata, FeatureRef, ResolvedFeature
from crewship.domain.errors import (
    ConfigError,
    FeatureNotFound,
    RegistryError,
    RegistryNotFound,
)
from crewship.registry.archive import DEFAULT_LIMITS, ArchiveLimits, read_metadata, repack
from crewship.registry.background import side_by_side
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient

CONFIG_TYPE = "application/vnd.devcontainers"
LAYER_TYPE = "application/vnd.devcontainers.layer.v1+tar"
METADATA_ANNOTATION = "dev.containers.metadata"
WORKERS = 8  # requests at a time: polite to one registry, and most of the gain


@dataclass(frozen=True, slots=True)
class _Manifest:
    digest: str
    archive_digest: str
    archive_size: int  # bytes
    annotation: str


class FeatureFetcher:
    """Resolves and downloads features; thread-safe. Each reference is asked for once in the life
    of a fetcher, so one job sees one answer for a moving tag; failures are not remembered."""

    def __init__(
        self, client: OciClient, blobs: BlobStore, limits: ArchiveLimits = DEFAULT_LIMITS
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._limits = limits
        self._lock = Lock()  # guards the dicts; never held over a request
        self._ref_locks: dict[FeatureRef, Lock] = {}
        self._resolved: dict[FeatureRef, ResolvedFeature] = {}
        self._sizes: dict[str, int] = {}  # archive digest -> bytes, from manifests seen here

    def resolve(self, ref: FeatureRef, written: str = "") -> ResolvedFeature:
        """What ``ref`` names now: ``identity`` is the manifest's digest.

        Raises FeatureNotFound, RegistryAuth, RegistryRateLimited, RegistryUnreachable,
        DigestMismatch, ArchiveUnsafe, RegistryError, ConfigError (metadata that breaks the spec).
        """
        with self._lock:
            ref_lock = self._ref_locks.setdefault(ref, Lock())
        with ref_lock:
            known = self._resolved.get(ref)
            if known is None:
                known = self._resolved[ref] = self._resolve(ref, written or str(ref))
            return known

    def installable(self, resolved: ResolvedFeature, written: str = "") -> ResolvedFeature:
        """The feature with its archive's metadata (downloaded if need be): install from this."""
        name = written or str(resolved.ref)
        with _named(name):
            archive = self._archive(_pinned(resolved), resolved.archive_digest)
            return replace(resolved, metadata=self._archive_metadata(archive, name))

    def archive_tar(self, resolved: ResolvedFeature, written: str = "") -> bytes:
        """The feature's files as a plain tar, verified and repacked (see ``archive.repack``).

        They come from the blob store, or are downloaded now. Errors as ``resolve`` raises them.
        """
        with _named(written or str(resolved.ref)):
            return repack(self._archive(_pinned(resolved), resolved.archive_digest), self._limits)

    def prefetch(self, refs: Iterable[FeatureRef]) -> dict[FeatureRef, ResolvedFeature]:
        """Resolve and download all of ``refs`` side by side; each as ``installable`` gives it.

        Raises the error of the first one (in the order given) that failed.
        """
        wanted = list(dict.fromkeys(refs))
        if not wanted:
            return {}
        found = side_by_side(
            lambda ref: self.installable(self.resolve(ref)), wanted, WORKERS, "prefetch"
        )
        return dict(zip(wanted, found, strict=True))

    def _resolve(self, ref: FeatureRef, name: str) -> ResolvedFeature:
        with _named(name):
            manifest = self._manifest(ref)
            metadata = _annotated(manifest.annotation, name)
            if metadata is None:
                pinned = replace(ref, tag="", digest=manifest.digest)
                archive = self._archive(pinned, manifest.archive_digest)
                metadata = self._archive_metadata(archive, name)
        return ResolvedFeature(
            ref=ref,
            identity=manifest.digest,
            metadata=metadata,
            archive_digest=manifest.archive_digest,
        )

    def _manifest(self, ref: FeatureRef) -> _Manifest:
        digest, body, _ = self._client.manifest(ref.registry, ref.repository, ref.digest or ref.tag)
        try:
            manifest = json.loads(body)
        except (ValueError, RecursionError) as err:
            raise RegistryError("the registry answered with something that is no manifest") from err
        parsed = _parse_manifest(digest, manifest)
        with self._lock:
            self._sizes[parsed.archive_digest] = parsed.archive_size
        return parsed

    def _archive(self, pinned: FeatureRef, digest: str) -> Path:
        present = self._blobs.find(digest) if digest else None
        if present is not None:
            return present
        size = self._sizes.get(digest)
        if size is None:
            # Resolved by another fetcher (a job taken up again): the manifest has the size.
            manifest = self._manifest(pinned)
            digest, size = manifest.archive_digest, manifest.archive_size
        return self._client.blob(pinned.registry, pinned.repository, digest, size, self._blobs)

    def _archive_metadata(self, archive: Path, name: str) -> FeatureMetadata:
        return parse_feature_metadata(read_metadata(archive, self._limits), name)


def _pinned(resolved: ResolvedFeature) -> FeatureRef:
    return replace(resolved.ref, tag="", digest=resolved.identity)


def _annotated(annotation: str, name: str) -> FeatureMetadata | None:
    """The annotation's metadata; None when there is none worth reading."""
    try:
        raw = json.loads(annotation) if annotation else None
    except (ValueError, RecursionError):
        return None
    return parse_feature_metadata(raw, name) if isinstance(raw, dict) and raw else None


def _parse_manifest(digest: str, manifest: Any) -> _Manifest:  # Any: JSON from the network
    try:
        config_type = manifest["config"]["mediaType"]
        layers = [layer for layer in manifest["layers"] if layer["mediaType"] == LAYER_TYPE]
        annotation = (manifest.get("annotations") or {}).get(METADATA_ANNOTATION) or ""
        if config_type != CONFIG_TYPE or not layers or not isinstance(annotation, str):
            raise FeatureNotFound("what is published there is no devcontainer feature")
        return _Manifest(digest, str(layers[0]["digest"]), int(layers[0]["size"]), annotation)
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise FeatureNotFound("what is published there is no devcontainer feature") from err


@contextmanager
def _named(written: str) -> Iterator[None]:
    """Errors leave with the reference in front of their message, once, and class and code kept."""
    try:
        yield
    except RegistryNotFound as err:
        raise FeatureNotFound(f"Feature {written} was not found: {err.message}") from err
    except (RegistryError, ConfigError) as err:
        if written in err.message:
            raise
        err.message = f"Feature {written}: {err.message}"
        err.args = (err.message, *err.args[1:])
        raise
