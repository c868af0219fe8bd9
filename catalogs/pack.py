"""Pack feature folders into an OCI image layout, as ``devcontainer features publish`` would push.

The layout is one namespace as ``crewship/registry/layout.py`` reads it. Same input, same bytes, on
every machine: members are sorted and normalised, and nothing is compressed (compressors differ
between hosts, and a feature's digest is part of layer keys that hosts share).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from crewship.domain.errors import ConfigError
from crewship.registry.archive import INSTALL_NAME, METADATA_NAME, Member, write_tar
from crewship.registry.blobs import BlobStore
from crewship.registry.digests import digest_of
from crewship.registry.features import CONFIG_TYPE, LAYER_TYPE, METADATA_ANNOTATION
from crewship.registry.layout import REF_NAME

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
COLLECTION_LAYER_TYPE = "application/vnd.devcontainers.collection.layer.v1+json"
COLLECTION_NAME = "devcontainer-collection.json"
_TITLE = "org.opencontainers.image.title"
_PACKAGE_TYPE = "com.github.package.type"

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class _Artifact:
    """One manifest to be: ``names`` are its entries in the index."""

    names: tuple[str, ...]
    layer_type: str
    title: str
    content: bytes
    annotations: dict[str, str]


def pack_features(source: Path, out: Path, namespace: str) -> None:
    """``out`` is an OCI layout with every feature folder of ``source`` (tags exact, minor, major,
    latest) and the namespace's collection artifact (``latest``).

    ``namespace`` (``ghcr.io/crewship-ai/features``) is recorded in the collection. What ``out``
    held before stays in its blobs and leaves the index. Raises ConfigError for a folder that is
    no feature.
    """
    folders = sorted(path.parent for path in source.glob(f"*/{METADATA_NAME}"))
    features = [_feature(folder) for folder in folders]
    if not features:
        raise ConfigError(f"There is no feature below {source.name}")
    artifacts = [artifact for artifact, _ in features]
    artifacts.append(_collection([metadata for _, metadata in features], namespace))
    blobs = BlobStore(out)
    entries = [entry for artifact in artifacts for entry in _store(artifact, blobs)]
    _write_json(out / "oci-layout", {"imageLayoutVersion": "1.0.0"})
    # The index comes last: until then a reader sees the layout as it was.
    _write_json(out / "index.json", {"schemaVersion": 2, "manifests": entries})


def push_layout(layout: Path, registry_url: str) -> None:
    """Push every manifest of a layout to a registry that asks for no credentials, for tests.

    ``registry_url`` has the namespace as its path: ``http://127.0.0.1:5000/crewship-ai/features``.
    Raises httpx.HTTPError.
    """
    parts = urlsplit(registry_url)
    base, prefix = f"{parts.scheme}://{parts.netloc}", parts.path.strip("/")
    blobs = BlobStore(layout)
    index = json.loads((layout / "index.json").read_bytes())
    with httpx.Client(base_url=base, timeout=60) as http:
        for entry in index["manifests"]:
            path, _, tag = entry["annotations"][REF_NAME].rpartition(":")
            repository = f"{prefix}/{path}".strip("/")
            body = blobs.path(entry["digest"]).read_bytes()
            manifest = json.loads(body)
            for blob in [manifest["config"], *manifest["layers"]]:
                _push_blob(http, repository, blob["digest"], blobs)
            http.put(
                f"/v2/{repository}/manifests/{tag}",
                content=body,
                headers={"Content-Type": entry["mediaType"]},
            ).raise_for_status()


def _push_blob(http: httpx.Client, repository: str, digest: str, blobs: BlobStore) -> None:
    if http.head(f"/v2/{repository}/blobs/{digest}").status_code == 200:
        return
    started = http.post(f"/v2/{repository}/blobs/uploads/").raise_for_status()
    upload = urljoin(str(started.url), started.headers["location"])
    http.put(
        httpx.URL(upload).copy_merge_params({"digest": digest}),
        content=blobs.path(digest).read_bytes(),
        headers={"Content-Type": "application/octet-stream"},
    ).raise_for_status()


def _feature(folder: Path) -> tuple[_Artifact, Json]:
    try:
        metadata = json.loads((folder / METADATA_NAME).read_text(encoding="utf-8"))
        feature_id, version = metadata["id"], metadata["version"]
        major, minor, _patch = version.split(".")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ConfigError(f"{folder.name} needs a {METADATA_NAME} with id and x.y.z") from err
    if feature_id != folder.name or not (folder / INSTALL_NAME).is_file():
        raise ConfigError(f"{folder.name} needs an {INSTALL_NAME}, and its id must be its name")
    tags = (version, f"{major}.{minor}", major, "latest")
    artifact = _Artifact(
        names=tuple(f"{feature_id}:{tag}" for tag in tags),
        layer_type=LAYER_TYPE,
        title=f"devcontainer-feature-{feature_id}.tgz",  # the published name, gzip or not
        content=write_tar({member.path: member for member in _members(folder)}),
        annotations={
            METADATA_ANNOTATION: _canonical(metadata).decode(),
            _PACKAGE_TYPE: "devcontainer_feature",
        },
    )
    return artifact, metadata


def _members(folder: Path) -> Iterator[Member]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ConfigError(f"{folder.name}/{name} is neither a file nor a directory")
        # Scripts are executable whatever the checkout (a zip download, a foreign file system)
        # made of their modes: the digest must not depend on that.
        yield Member(
            path=name,
            is_directory=path.is_dir(),
            executable=path.suffix == ".sh",
            data=b"" if path.is_dir() else path.read_bytes(),
        )


def _collection(features: list[Json], namespace: str) -> _Artifact:
    content = {"sourceInformation": {"source": namespace}, "features": features}
    return _Artifact(
        names=("latest",),
        layer_type=COLLECTION_LAYER_TYPE,
        title=COLLECTION_NAME,
        content=_canonical(content),
        annotations={_PACKAGE_TYPE: "devcontainer_collection"},
    )


def _store(artifact: _Artifact, blobs: BlobStore) -> list[Json]:
    layer: Json = {
        **_descriptor(artifact.layer_type, artifact.content, blobs),
        "annotations": {_TITLE: artifact.title},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(CONFIG_TYPE, b"{}", blobs),
        "layers": [layer],
        "annotations": artifact.annotations,
    }
    entry = _descriptor(MANIFEST_TYPE, _canonical(manifest), blobs)
    return [{**entry, "annotations": {REF_NAME: name}} for name in artifact.names]


def _descriptor(media_type: str, content: bytes, blobs: BlobStore) -> Json:
    if blobs.find(digest_of(content)) is None:
        blobs.put(content)
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def _canonical(value: Json) -> bytes:
    # Not sorted: options keep the order that their author gave them, it is the order shown.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _write_json(path: Path, value: Json) -> None:
    temp = path.with_name(f".{path.name}.{os.getpid()}")
    temp.write_bytes(_canonical(value))
    temp.rename(path)
