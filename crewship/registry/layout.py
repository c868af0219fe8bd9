"""An OCI image layout directory as a registry: bundled features, air-gapped hosts.

One directory holds one namespace. ``index.json`` lists the manifests, each with the annotation
``org.opencontainers.image.ref.name``: ``node:1`` is tag ``1`` of ``<prefix>/node``, a name without
colon (``latest``) is a tag of the prefix itself, where the collection artifact lives. Several
entries may name one manifest. Digests are verified exactly as over the network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crewship.domain.errors import DigestMismatch, RegistryError, RegistryNotFound
from crewship.registry.blobs import BlobStore
from crewship.registry.digests import digest_of, is_digest, require_digest
from crewship.registry.options import MANIFEST_LIMIT

REF_NAME = "org.opencontainers.image.ref.name"
_CHUNK = 1024 * 1024


class OciLayout:
    """The layout at ``root``, seen as the namespace ``prefix``; read afresh on each call."""

    def __init__(self, root: Path, prefix: str) -> None:
        self._root = root
        self._prefix = prefix

    def manifest(self, repository: str, reference: str) -> tuple[str, bytes, str]:
        """(digest, bytes, media type) of a tag or digest below the prefix.

        Raises RegistryNotFound, DigestMismatch, or RegistryError for a broken layout.
        """
        for entry in self._entries():
            name = str((entry.get("annotations") or {}).get(REF_NAME, ""))
            path, _, tag = name.rpartition(":")
            digest = str(entry.get("digest", ""))
            if path == repository and reference in (tag, digest):
                body = self._read(digest, MANIFEST_LIMIT)
                if digest_of(body) != digest:
                    raise DigestMismatch(f"The local copy of {self._prefix}/{name} is damaged")
                return digest, body, str(entry.get("mediaType", ""))
        separator = "@" if is_digest(reference) else ":"
        where = f"{self._prefix}/{repository}".rstrip("/")
        raise RegistryNotFound(f"{where}{separator}{reference} is not in the local layout")

    def blob(self, digest: str, size: int, into: BlobStore) -> Path:
        return into.write(digest, self._chunks(digest), size=size)

    def _entries(self) -> list[dict[str, Any]]:  # Any: JSON
        try:
            index = json.loads((self._root / "index.json").read_bytes())
            return [entry for entry in index["manifests"] if isinstance(entry, dict)]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as err:
            raise RegistryError(f"The local layout for {self._prefix} can't be read") from err

    def _read(self, digest: str, limit: int) -> bytes:
        return b"".join(self._chunks(digest, limit))

    def _chunks(self, digest: str, limit: int | None = None) -> Iterator[bytes]:
        path = self._root / "blobs" / "sha256" / require_digest(digest).removeprefix("sha256:")
        seen = 0
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    seen += len(chunk)
                    if limit is not None and seen > limit:
                        raise RegistryError(f"{digest} in the layout is larger than {limit} bytes")
                    yield chunk
        except OSError as err:
            raise RegistryNotFound(f"The local layout for {self._prefix} lacks {digest}") from err
