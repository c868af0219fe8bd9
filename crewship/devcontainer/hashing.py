"""The config hash: what a crew's texts say about its image, as 64 hex digits.

Made from texts alone: no network, no digests, no clock. Two configs with one hash are one image,
so everything that shapes the image is in it and nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crewship.devcontainer.canonical import canonical, digest
from crewship.devcontainer.types import CrewSpec, FeatureRequest, Hook, ImageRef, Json, MiseSpec

# Counts up when the same plan would build another image: it is in every hash and layer key.
GENERATOR: Final = "crewship-1"


def config_hash(spec: CrewSpec, scope_key: str = "") -> str:
    """64 hex digits; ``scope_key`` is what keeps workspaces apart, "" where they share images.

    Not in it: order of keys, white space, comments, ``name``, ``customizations``, unknown keys,
    everything in ``spec.runtime``, and the order list where there is nothing to order.
    """
    parts: dict[str, Json] = {
        "generator": GENERATOR,
        "scope": scope_key,
        "base": base_name(spec.base),
        "features": _features(spec.features),
        "override": spec.override_order if spec.features else (),
        "container_env": dict(spec.container_env),
        "hooks": [hook_parts(hook) for hook in spec.hooks],
        "mise": mise_parts(spec.mise),
    }
    if spec.lock:  # absent where there is none: a lock that says nothing changes no hash
        parts["lock"] = {str(item.ref): item.digest for item in spec.lock}
    return digest(parts)


def base_name(ref: ImageRef) -> str:
    """The image's full name, so that ``debian`` and ``docker.io/library/debian:latest`` agree."""
    tag = f":{ref.tag}" if ref.tag else ""
    at = f"@{ref.digest}" if ref.digest else ""
    return f"{ref.registry}/{ref.repository}{tag}{at}"


def hook_parts(hook: Hook) -> Json:
    """A hook for hashes and keys; named entries run side by side, so their order is nothing."""
    entries = [
        [entry.name, entry.shell if entry.shell is not None else list(entry.argv or ())]
        for entry in hook.entries
    ]
    return [hook.name.value, sorted(entries, key=canonical)]


def mise_parts(spec: MiseSpec) -> Json:
    return {
        "tools": {tool.name: list(tool.versions) for tool in spec.tools},
        "env": dict(spec.env),
    }


def _features(requests: Iterable[FeatureRequest]) -> list[str]:
    """Sorted, each once: the install order comes from the features, not from the text."""
    return sorted({canonical([str(request.ref), request.options]) for request in requests})
