"""A publisher's collection: the list of its features with their options, over OCI.

It is the artifact ``<namespace>:latest`` with one layer, ``devcontainer-collection.json``
(containers.dev, "Distributing Features", metadata of a namespace). What a publisher wrote is
foreign text: everything is checked, shortened and freed of control characters here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from crewship.domain.errors import RegistryError
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient

COLLECTION_LAYER_TYPE: Final = "application/vnd.devcontainers.collection.layer.v1+json"
COLLECTION_LIMIT: Final = 16 * 1024 * 1024  # bytes; the largest known one has less than 1 MB
MAX_FEATURES: Final = 2000
MAX_OPTIONS: Final = 100  # of one feature
MAX_CHOICES: Final = 200  # of one option
MAX_TEXT: Final = 1000  # characters

_ID = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_MAJOR = re.compile(r"(0|[1-9][0-9]{0,5})\.[0-9]+\.[0-9]+(?:[-+].*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")

Json = dict[str, Any]  # Any: JSON


class CollectionInvalid(RegistryError):
    """What is published there lists no feature."""

    code = "collection_invalid"
    hint = "Check that the publisher's path is the namespace that its features are pushed to."


@dataclass(frozen=True, slots=True)
class CollectionFeature:
    """One feature as its publisher lists it; ``options`` in the publisher's order, each with
    ``name, type, default, description, enum, proposals``."""

    id: str
    major: str  # what its moving tag is called
    name: str
    description: str
    options: tuple[Json, ...]


def fetch_collection(
    client: OciClient, namespace: str, blobs: BlobStore
) -> tuple[CollectionFeature, ...]:
    """The features of ``ghcr.io/devcontainers/features`` and its like; never none.

    Deprecated features and entries that break the spec are left out. Raises CollectionInvalid
    and the errors of ``OciClient``.
    """
    registry, _, repository = namespace.lower().partition("/")
    _, body, _ = client.manifest(registry, repository, "latest")
    digest, size = _layer(_load(body, namespace), namespace)
    path = client.blob(registry, repository, digest, size, blobs)
    try:
        content = path.read_bytes()
    finally:
        path.unlink(missing_ok=True)  # read once; the next one has another digest
    listed = _load(content, namespace).get("features")
    features = {f.id: f for f in _features(listed if isinstance(listed, list) else [])}
    if not features:
        raise CollectionInvalid(f"The collection of {namespace} lists no feature")
    return tuple(features.values())


def _load(body: bytes, namespace: str) -> Json:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as err:
        raise CollectionInvalid(f"The collection of {namespace} is no JSON") from err
    return value if isinstance(value, dict) else {}


def _layer(manifest: Json, namespace: str) -> tuple[str, int]:
    try:
        layers = [x for x in manifest["layers"] if x["mediaType"] == COLLECTION_LAYER_TYPE]
        digest, size = str(layers[0]["digest"]), int(layers[0]["size"])
    except (KeyError, IndexError, TypeError, ValueError) as err:
        raise CollectionInvalid(f"{namespace}:latest is no collection") from err
    if size > COLLECTION_LIMIT:
        raise CollectionInvalid(f"The collection of {namespace} has {size} bytes: too many")
    return digest, size


def _features(listed: list[Any]) -> Iterator[CollectionFeature]:  # Any: JSON from the network
    for raw in listed[:MAX_FEATURES]:
        if not isinstance(raw, dict) or raw.get("deprecated") is True:
            continue
        feature_id, version = one_line(raw.get("id")).lower(), one_line(raw.get("version"))
        match = _MAJOR.fullmatch(version)
        if match and len(feature_id) <= 100 and _ID.fullmatch(feature_id):
            options = raw.get("options")
            yield CollectionFeature(
                id=feature_id,
                major=match[1],
                name=one_line(raw.get("name"))[:100],
                description=one_line(raw.get("description")),
                options=feature_options(options if isinstance(options, dict) else {}),
            )


def feature_options(options: Json) -> tuple[Json, ...]:
    """A feature's ``options`` as a list that forms can be made from."""
    return tuple(
        {
            "name": one_line(name),
            "type": "boolean" if raw.get("type") == "boolean" else "string",
            "default": _value(raw.get("default")),
            "description": one_line(raw.get("description")),
            "enum": _choices(raw.get("enum")),
            "proposals": _choices(raw.get("proposals")),
        }
        for name, raw in list(options.items())[:MAX_OPTIONS]
        if isinstance(raw, dict) and one_line(name)
    )


def _value(value: Any) -> str | bool | None:  # Any: JSON
    return value if isinstance(value, bool) or value is None else one_line(str(value))


def _choices(value: Any) -> list[str]:  # Any: JSON
    return [one_line(str(x)) for x in value[:MAX_CHOICES]] if isinstance(value, list) else []


def one_line(value: object) -> str:
    """One line without control characters; "" for what is no text."""
    return _CONTROL.sub(" ", value).strip()[:MAX_TEXT] if isinstance(value, str) else ""
