"""Against Debian's docker-registry on loopback: what we pack, push and pull is one thing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogs.pack import pack_features, push_layout
from crewship.devcontainer.types import FeatureRef
from crewship.domain.errors import FeatureNotFound, RegistryAuth
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.features import FeatureFetcher
from crewship.registry.options import RegistryOptions
from tests.registry.server import running_registry

pytestmark = pytest.mark.registry

NAMESPACE = "ghcr.io/crewship-ai/features"
BUNDLED = Path(__file__).parents[2] / "catalogs" / "bundled" / "features"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    pack_features(BUNDLED, tmp_path / "layout", NAMESPACE)
    return tmp_path / "layout"


@pytest.fixture
def mirrored(registry_server: str) -> Iterator[OciClient]:
    """A client for which the registry on loopback is ghcr.io."""
    with OciClient(RegistryOptions(mirrors={"ghcr.io": registry_server})) as client:
        yield client


def test_a_pushed_feature_is_the_one_of_the_layout(
    registry_server: str, mirrored: OciClient, layout: Path, blobs: BlobStore
) -> None:
    push_layout(layout, f"http://{registry_server}/crewship-ai/features")
    ref = FeatureRef("ghcr.io", "crewship-ai/features/sshd", "1")
    local = OciClient(RegistryOptions(layouts={NAMESPACE: layout}))
    pushed = FeatureFetcher(mirrored, blobs)
    from_layout = FeatureFetcher(local, BlobStore(layout.parent / "other")).resolve(ref)
    assert pushed.resolve(ref) == from_layout
    assert b"openssh-server" in pushed.archive_tar(from_layout)


def test_every_bundled_feature_is_prefetched(
    registry_server: str, mirrored: OciClient, layout: Path, blobs: BlobStore
) -> None:
    push_layout(layout, f"http://{registry_server}/crewship-ai/features")
    names = [path.name for path in BUNDLED.iterdir()]
    refs = [FeatureRef("ghcr.io", f"crewship-ai/features/{name}") for name in names]
    found = FeatureFetcher(mirrored, blobs).prefetch(refs)
    assert [resolved.metadata.id for resolved in found.values()] == names


def test_the_collection_lists_every_bundled_feature(
    registry_server: str, mirrored: OciClient, layout: Path, blobs: BlobStore
) -> None:
    push_layout(layout, f"http://{registry_server}/crewship-ai/features")
    manifest = json.loads(mirrored.manifest("ghcr.io", "crewship-ai/features", "latest")[1])
    layer = manifest["layers"][0]
    path = mirrored.blob("ghcr.io", "crewship-ai/features", layer["digest"], layer["size"], blobs)
    listed = {feature["id"] for feature in json.loads(path.read_bytes())["features"]}
    assert listed == {folder.name for folder in BUNDLED.iterdir()}


ABSENT = FeatureRef("ghcr.io", "acme/features/none", "1")


def test_an_absent_feature_is_not_found(mirrored: OciClient, blobs: BlobStore) -> None:
    with pytest.raises(FeatureNotFound, match=r"ghcr\.io/acme/features/none:1"):
        FeatureFetcher(mirrored, blobs).resolve(ABSENT)


# bcrypt of "secret", the only kind of hash that docker-registry takes.
HTPASSWD = "joe:$2b$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na\n"


@pytest.fixture
def private_server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    with running_registry(tmp_path, tmp_path / "htpasswd") as host:
        yield host


def test_a_private_registry_refuses_strangers_by_name(
    private_server: str, blobs: BlobStore
) -> None:
    options = RegistryOptions(mirrors={"ghcr.io": private_server})
    with (
        OciClient(options) as client,
        pytest.raises(RegistryAuth, match=r"ghcr\.io/acme/features/none:1"),
    ):
        FeatureFetcher(client, blobs).resolve(ABSENT)


def test_credentials_open_a_private_registry(private_server: str, blobs: BlobStore) -> None:
    options = RegistryOptions(
        mirrors={"ghcr.io": private_server},
        auth=lambda host: ("joe", "secret") if host == private_server else None,
    )
    with OciClient(options) as client, pytest.raises(FeatureNotFound):
        FeatureFetcher(client, blobs).resolve(ABSENT)
