"""Publishers' collections in a scripted registry, and what a refresh asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from catalogs.fetch import Sources
from crewship.registry.collections import COLLECTION_LAYER_TYPE
from crewship.registry.options import RegistryOptions
from tests.registry.server import MANIFEST_TYPE, ScriptedRegistry, digest

DEVCONTAINERS = "ghcr.io/devcontainers/features"
EXTRA = "ghcr.io/devcontainers-extra/features"
OWN = "ghcr.io/crewship-ai/features"


@pytest.fixture
def registry() -> ScriptedRegistry:
    return ScriptedRegistry()


class Publish(Protocol):
    def __call__(self, namespace: str, *features: Any, body: bytes | None = None) -> None: ...


@pytest.fixture
def publish(registry: ScriptedRegistry) -> Publish:
    """``publish(namespace, *features)``: its collection is there now; ``body`` for broken ones."""

    def add(namespace: str, *features: Any, body: bytes | None = None) -> None:
        content = json.dumps({"features": features}).encode() if body is None else body
        layer = {
            "mediaType": COLLECTION_LAYER_TYPE,
            "digest": digest(content),
            "size": len(content),
        }
        manifest = json.dumps({"schemaVersion": 2, "layers": [layer]}).encode()
        base = f"https://ghcr.io/v2/{namespace.removeprefix('ghcr.io/')}"
        registry.answers[f"{base}/manifests/latest"] = httpx.Response(
            200, content=manifest, headers={"content-type": MANIFEST_TYPE}
        )
        registry.answers[f"{base}/blobs/{digest(content)}"] = httpx.Response(200, content=content)

    return add


def feature(feature_id: str, version: str = "1.0.0", **fields: Any) -> dict[str, Any]:
    return {"id": feature_id, "version": version, **fields}


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(
        registry=RegistryOptions(retries=0),
        publishers=(DEVCONTAINERS, EXTRA, OWN),
        mise=str(tmp_path / "mise"),
        store=tmp_path / "store",
    )


@pytest.fixture
def mise_prints(tmp_path: Path) -> Any:
    """``mise_prints(text, then="")``: a mise that prints it and goes on with a shell command."""

    def install(text: str, then: str = "") -> None:
        (tmp_path / "output").write_text(text)
        program = tmp_path / "mise"
        program.write_text(f'#!/bin/sh\n[ "$*" = "registry --json" ] || exit 9\n'
                           f"cat {tmp_path}/output\n{then}\n")  # fmt: skip
        program.chmod(0o755)

    return install
