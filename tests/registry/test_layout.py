from __future__ import annotations

import json
from pathlib import Path

import pytest

from catalogs.pack import pack_features
from crewship.domain.errors import DigestMismatch, RegistryError, RegistryNotFound
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.options import RegistryOptions
from tests.registry.server import digest

PREFIX = "ghcr.io/acme/features"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    folder = tmp_path / "source" / "tool"
    folder.mkdir(parents=True)
    (folder / "devcontainer-feature.json").write_text('{"id": "tool", "version": "1.2.3"}')
    (folder / "install.sh").write_text("#!/bin/sh\n")
    pack_features(tmp_path / "source", tmp_path / "layout", PREFIX)
    return tmp_path / "layout"


@pytest.fixture
def client(layout: Path) -> OciClient:
    return OciClient(RegistryOptions(layouts={PREFIX: layout}))


@pytest.mark.parametrize("tag", ["1.2.3", "1.2", "1", "latest"])
def test_every_tag_names_the_same_manifest(client: OciClient, tag: str) -> None:
    found, body, media_type = client.manifest("ghcr.io", "acme/features/tool", tag)
    assert found == digest(body)
    assert found == client.manifest("ghcr.io", "acme/features/tool", "latest")[0]
    assert media_type == "application/vnd.oci.image.manifest.v1+json"


def test_a_manifest_is_found_by_digest(client: OciClient) -> None:
    found, body, _ = client.manifest("ghcr.io", "acme/features/tool", "1")
    assert client.manifest("ghcr.io", "acme/features/tool", found)[1] == body


def test_the_prefix_itself_has_the_collection(client: OciClient) -> None:
    _, body, _ = client.manifest("ghcr.io", "acme/features", "latest")
    assert b"devcontainer_collection" in body


@pytest.mark.parametrize(
    ("repository", "reference"),
    [("tool", "2"), ("other", "1"), ("tool", digest(b"x")), ("too", "1"), ("tool", "")],
)
def test_what_is_not_there_is_not_found(client: OciClient, repository: str, reference: str) -> None:
    with pytest.raises(RegistryNotFound, match=f"{PREFIX}/{repository}"):
        client.manifest("ghcr.io", f"acme/features/{repository}", reference)


def test_a_blob_is_copied_and_verified(client: OciClient, blobs: BlobStore) -> None:
    body = client.manifest("ghcr.io", "acme/features/tool", "1")[1]
    layer = json.loads(body)["layers"][0]
    path = client.blob("ghcr.io", "acme/features/tool", layer["digest"], layer["size"], blobs)
    assert digest(path.read_bytes()) == layer["digest"]


def test_a_damaged_blob_is_a_mismatch(client: OciClient, blobs: BlobStore, layout: Path) -> None:
    layer = json.loads(client.manifest("ghcr.io", "acme/features/tool", "1")[1])["layers"][0]
    BlobStore(layout).path(layer["digest"]).write_bytes(b"x" * layer["size"])
    with pytest.raises(DigestMismatch):
        client.blob("ghcr.io", "acme/features/tool", layer["digest"], layer["size"], blobs)


def test_a_damaged_manifest_is_a_mismatch(client: OciClient, layout: Path) -> None:
    found = client.manifest("ghcr.io", "acme/features/tool", "1")[0]
    BlobStore(layout).path(found).write_bytes(b"{}")
    with pytest.raises(DigestMismatch):
        client.manifest("ghcr.io", "acme/features/tool", "1")


@pytest.mark.parametrize("index", [None, "", "[]", '{"manifests": 5}', "{}"])
def test_a_broken_index_is_an_error(client: OciClient, layout: Path, index: str | None) -> None:
    (layout / "index.json").unlink()
    if index is not None:
        (layout / "index.json").write_text(index)
    with pytest.raises(RegistryError, match="can't be read"):
        client.manifest("ghcr.io", "acme/features/tool", "1")


def test_a_digest_in_the_index_cannot_lead_out_of_the_layout(
    client: OciClient, layout: Path
) -> None:
    entry = {
        "digest": "sha256:../../../secret",
        "annotations": {"org.opencontainers.image.ref.name": "tool:1"},
    }
    (layout / "index.json").write_text(json.dumps({"manifests": [entry]}))
    with pytest.raises(DigestMismatch):
        client.manifest("ghcr.io", "acme/features/tool", "1")
