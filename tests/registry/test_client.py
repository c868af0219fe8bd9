"""Pulling as the distribution spec has it, from a registry that behaves."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from crewship.domain.errors import DigestMismatch, RegistryError, RegistryNotFound
from crewship.registry.blobs import BlobStore
from crewship.registry.http import TooLarge
from crewship.registry.options import BLOB_LIMIT
from tests.registry.conftest import MakeClient
from tests.registry.server import MANIFEST_TYPE, ScriptedRegistry, digest

BODY = b'{"schemaVersion": 2}'
BASE = "https://registry.example/v2/acme/tool"
MANIFEST = f"{BASE}/manifests/1"


def ok(content: bytes = BODY, claimed: str | None = None) -> httpx.Response:
    headers = {"content-type": MANIFEST_TYPE}
    if claimed is not None:
        headers["docker-content-digest"] = claimed
    return httpx.Response(200, content=content, headers=headers)


def test_a_tag_gives_computed_digest_bytes_and_media_type(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers[MANIFEST] = ok()
    found = make_client().manifest("registry.example", "acme/tool", "1")
    assert found == (digest(BODY), BODY, MANIFEST_TYPE)


def test_accept_names_the_oci_manifest_type(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers[MANIFEST] = ok()
    make_client().manifest("registry.example", "acme/tool", "1")
    assert MANIFEST_TYPE in registry.requests[0].headers["accept"]


def test_a_manifest_asked_by_digest_must_have_it(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    wanted = digest(b"what was asked for")
    registry.answers[f"{BASE}/manifests/{wanted}"] = ok()
    with pytest.raises(DigestMismatch, match=wanted):
        make_client().manifest("registry.example", "acme/tool", wanted)


def test_a_digest_header_that_lies_is_refused(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers[MANIFEST] = ok(claimed=digest(b"other"))
    with pytest.raises(DigestMismatch):
        make_client().manifest("registry.example", "acme/tool", "1")


def test_an_absent_tag_is_not_found_and_asked_for_once(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    with pytest.raises(RegistryNotFound, match=r"registry.example/acme/tool:9"):
        make_client().manifest("registry.example", "acme/tool", "9")
    assert len(registry.requests) == 1


def test_a_blob_is_verified_into_the_store(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    registry.answers[f"{BASE}/blobs/{digest(b'data')}"] = httpx.Response(200, content=b"data")
    path = make_client().blob("registry.example", "acme/tool", digest(b"data"), 4, blobs)
    assert path.read_bytes() == b"data"


def test_a_blob_that_is_there_is_not_asked_for(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    blobs.put(b"data")
    make_client().blob("registry.example", "acme/tool", digest(b"data"), 4, blobs)
    assert registry.requests == []


def test_a_wrong_blob_is_refused_and_not_kept(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    registry.answers[f"{BASE}/blobs/{digest(b'data')}"] = httpx.Response(200, content=b"evil")
    with pytest.raises(DigestMismatch):
        make_client().blob("registry.example", "acme/tool", digest(b"data"), 4, blobs)
    assert blobs.find(digest(b"data")) is None
    assert blobs.find(digest(b"evil")) is None


@pytest.mark.parametrize("sent", [b"dat", b"data and more"])
def test_a_blob_of_another_size_is_refused(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore, sent: bytes
) -> None:
    registry.answers[f"{BASE}/blobs/{digest(sent)}"] = httpx.Response(200, content=sent)
    with pytest.raises(DigestMismatch):
        make_client().blob("registry.example", "acme/tool", digest(sent), 4, blobs)


def test_a_blob_over_the_limit_is_not_even_asked_for(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    with pytest.raises(TooLarge):
        make_client().blob("registry.example", "acme/tool", digest(b"x"), BLOB_LIMIT + 1, blobs)
    assert registry.requests == []


def test_a_manifest_over_four_megabytes_is_refused(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers[MANIFEST] = ok(b" " * (4 * 1024 * 1024 + 1))
    with pytest.raises(TooLarge):
        make_client().manifest("registry.example", "acme/tool", "1")


def test_another_status_is_an_error_with_its_number(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers[MANIFEST] = httpx.Response(418)
    with pytest.raises(RegistryError, match="418"):
        make_client().manifest("registry.example", "acme/tool", "1")


@pytest.mark.parametrize(
    ("mirror", "url"),
    [
        ("mirror.example", "https://mirror.example/v2/acme/tool/manifests/1"),
        ("mirror.example/ghcr", "https://mirror.example/v2/ghcr/acme/tool/manifests/1"),
        (
            "https://mirror.example:8443/a/b/",
            "https://mirror.example:8443/v2/a/b/acme/tool/manifests/1",
        ),
        ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/acme/tool/manifests/1"),
        ("http://mirror.example", "http://mirror.example/v2/acme/tool/manifests/1"),
    ],
)
def test_a_mirror_replaces_the_host(
    registry: ScriptedRegistry, make_client: MakeClient, mirror: str, url: str
) -> None:
    registry.answers[url] = ok()
    make_client(mirrors={"ghcr.io": mirror}).manifest("ghcr.io", "acme/tool", "1")
    assert [str(request.url) for request in registry.requests] == [url]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("docker.io", "https://registry-1.docker.io/v2/a/b/manifests/1"),
        ("localhost:5000", "http://localhost:5000/v2/a/b/manifests/1"),
        ("[::1]:5000", "http://[::1]:5000/v2/a/b/manifests/1"),
        ("plain.example", "http://plain.example/v2/a/b/manifests/1"),
        ("tls.example", "https://tls.example/v2/a/b/manifests/1"),
    ],
)
def test_scheme_and_host_follow_the_registry(
    registry: ScriptedRegistry, make_client: MakeClient, host: str, url: str
) -> None:
    registry.answers[url] = ok()
    make_client(plain_http=frozenset({"plain.example"})).manifest(host, "a/b", "1")
    assert [str(request.url) for request in registry.requests] == [url]


def test_layout_prefixes_match_on_path_borders(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(layouts={"ghcr.io/acme/feat": tmp_path / "absent"})
    with pytest.raises(RegistryNotFound, match=r"ghcr.io/acme/features/x:1"):
        client.manifest("ghcr.io", "acme/features/x", "1")


def test_a_digest_is_asked_for_by_head(registry: ScriptedRegistry, make_client: MakeClient) -> None:
    registry.answers[MANIFEST] = ok(b"", claimed=digest(BODY))
    assert make_client().digest("registry.example", "acme/tool", "1") == digest(BODY)
    assert [request.method for request in registry.requests] == ["HEAD"]


@pytest.mark.parametrize("claimed", [None, "sha512:ab", "sha256:short"])
def test_a_digest_that_the_registry_does_not_say_is_computed(
    claimed: str | None, registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers[MANIFEST] = lambda request: ok(
        BODY, claimed=claimed if request.method == "HEAD" else None
    )
    assert make_client().digest("registry.example", "acme/tool", "1") == digest(BODY)
    assert [request.method for request in registry.requests] == ["HEAD", "GET"]
