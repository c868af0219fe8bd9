"""Our own features are there although their registry is not, or does not have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from catalogs.bundled import FEATURES, NAMESPACE
from catalogs.pack import pack_features
from crewship.devcontainer.refs import parse_feature_ref
from crewship.domain.errors import RegistryError, RegistryNotFound, RegistryUnreachable
from crewship.registry.blobs import BlobStore
from crewship.registry.features import FeatureFetcher
from tests.registry.conftest import MakeClient
from tests.registry.server import ScriptedRegistry
from tests.registry.tars import METADATA, feature_tar

NODE = parse_feature_ref(f"{NAMESPACE}/node:1")
BASE = "https://ghcr.io/v2/crewship-ai/features/node"


@pytest.fixture
def fetcher(make_client: MakeClient, blobs: BlobStore, tmp_path: Path) -> FeatureFetcher:
    def packed() -> Path:
        pack_features(FEATURES, tmp_path / "bundled", NAMESPACE)
        return tmp_path / "bundled"

    return FeatureFetcher(make_client(retries=0, fallbacks={NAMESPACE: packed}), blobs)


def away(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route")


def refusing(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(403, headers={"www-authenticate": 'Bearer realm="https://ghcr.io/token"'})


def lacking(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(404)


@pytest.mark.parametrize("answer", [away, refusing, lacking])
def test_a_bundled_feature_is_installed_from_its_copy(
    registry: ScriptedRegistry,
    fetcher: FeatureFetcher,
    answer: Callable[[httpx.Request], httpx.Response],
) -> None:
    registry.answers |= {f"{BASE}/manifests/1": answer, "https://ghcr.io/token": answer}
    resolved = fetcher.resolve(NODE)
    assert resolved.metadata.id == "node"
    assert b"install.sh" in fetcher.archive_tar(resolved)


def test_what_the_registry_has_wins(
    registry: ScriptedRegistry, fetcher: FeatureFetcher, tmp_path: Path
) -> None:
    registry.publish(BASE, "1", METADATA, feature_tar())
    assert fetcher.resolve(NODE).metadata.version == METADATA["version"]
    assert not (tmp_path / "bundled").exists()


@pytest.mark.parametrize(
    ("written", "answer", "error"),
    [
        (f"{NAMESPACE}/nothing:1", away, RegistryUnreachable),
        (f"{NAMESPACE}/nothing:1", lacking, RegistryNotFound),
        ("ghcr.io/devcontainers/features/node:1", away, RegistryUnreachable),
    ],
)
def test_for_anything_else_the_registrys_error_stands(
    registry: ScriptedRegistry,
    make_client: MakeClient,
    tmp_path: Path,
    written: str,
    answer: Callable[[httpx.Request], httpx.Response],
    error: type[RegistryError],
) -> None:
    pack_features(FEATURES, tmp_path / "bundled", NAMESPACE)
    client = make_client(retries=0, fallbacks={NAMESPACE: lambda: tmp_path / "bundled"})
    ref = parse_feature_ref(written)
    registry.answers[f"https://{ref.registry}/v2/{ref.repository}/manifests/1"] = answer
    with pytest.raises(error):
        client.manifest(ref.registry, ref.repository, "1")
    with pytest.raises(error):
        client.digest(ref.registry, ref.repository, "1")
