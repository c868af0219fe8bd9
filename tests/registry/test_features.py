from __future__ import annotations

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from crewship.devcontainer.types import FeatureRef
from crewship.domain.errors import (
    ArchiveUnsafe,
    ConfigError,
    CrewshipError,
    DigestMismatch,
    FeatureNotFound,
    RegistryAuth,
    RegistryError,
    RegistryRateLimited,
    RegistryUnreachable,
)
from crewship.registry.blobs import BlobStore
from crewship.registry.features import FeatureFetcher
from tests.registry.conftest import MakeClient
from tests.registry.server import ScriptedRegistry, digest, feature_manifest
from tests.registry.tars import METADATA, entry, feature_tar, tar_of

BASE = "https://ghcr.io/v2/acme/features/tool"
REF = FeatureRef("ghcr.io", "acme/features/tool", "1")
WRITTEN = "ghcr.io/acme/features/tool:1"


@pytest.fixture
def fetcher(make_client: MakeClient, blobs: BlobStore) -> FeatureFetcher:
    return FeatureFetcher(make_client(retries=1), blobs)


def test_metadata_comes_from_the_annotation_without_a_download(
    registry: ScriptedRegistry, fetcher: FeatureFetcher
) -> None:
    identity = registry.publish(BASE, "1", METADATA, feature_tar())
    resolved = fetcher.resolve(REF)
    assert (resolved.identity, resolved.metadata.version) == (identity, "1.2.3")
    assert len(registry.requests) == 1


@pytest.mark.parametrize("annotation", [None, [], {}])
def test_without_a_usable_annotation_the_archive_is_read(
    registry: ScriptedRegistry, fetcher: FeatureFetcher, annotation: object
) -> None:
    registry.publish(BASE, "1", annotation, feature_tar())
    assert fetcher.resolve(REF).metadata.version == "1.2.3"


def test_what_is_installed_has_the_archives_metadata(
    registry: ScriptedRegistry, fetcher: FeatureFetcher
) -> None:
    registry.publish(BASE, "1", {**METADATA, "version": "9.9.9"}, feature_tar())
    resolved = fetcher.resolve(REF)
    assert resolved.metadata.version == "9.9.9"
    assert fetcher.installable(resolved).metadata.version == "1.2.3"


def test_a_digest_is_asked_for_as_such(registry: ScriptedRegistry, fetcher: FeatureFetcher) -> None:
    identity = registry.publish(BASE, "1", METADATA, feature_tar())
    pinned = FeatureRef("ghcr.io", "acme/features/tool", "", identity)
    assert fetcher.resolve(pinned).identity == identity


def test_the_archive_comes_as_a_plain_tar(
    registry: ScriptedRegistry, fetcher: FeatureFetcher
) -> None:
    registry.publish(BASE, "1", METADATA, feature_tar(zipped=True))
    with tarfile.open(fileobj=io.BytesIO(fetcher.archive_tar(fetcher.resolve(REF)))) as tar:
        assert tar.getnames() == ["devcontainer-feature.json", "install.sh"]


def test_another_fetcher_downloads_by_digest_though_the_tag_moved(
    registry: ScriptedRegistry, fetcher: FeatureFetcher, make_client: MakeClient, blobs: BlobStore
) -> None:
    registry.publish(BASE, "1", METADATA, feature_tar())
    resolved = fetcher.resolve(REF)
    registry.publish(BASE, "1", METADATA, feature_tar(METADATA, entry("new", b"x")))
    tar = FeatureFetcher(make_client(), blobs).archive_tar(resolved)
    assert b"new" not in tar


def test_one_fetcher_sees_one_answer_for_a_moving_tag(
    registry: ScriptedRegistry, fetcher: FeatureFetcher
) -> None:
    registry.publish(BASE, "1", METADATA, feature_tar())
    first = fetcher.resolve(REF)
    registry.publish(BASE, "1", METADATA, feature_tar(METADATA, entry("new", b"x")))
    assert fetcher.resolve(REF) is first


def test_a_failure_is_not_remembered(registry: ScriptedRegistry, fetcher: FeatureFetcher) -> None:
    with pytest.raises(FeatureNotFound):
        fetcher.resolve(REF)
    registry.publish(BASE, "1", METADATA, feature_tar())
    assert fetcher.resolve(REF).metadata.id == "tool"


def test_threads_that_want_one_feature_ask_once(
    registry: ScriptedRegistry, fetcher: FeatureFetcher
) -> None:
    registry.publish(BASE, "1", METADATA, feature_tar())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: fetcher.resolve(REF), range(8)))
    assert len(registry.requests) == 1


def test_prefetch_leaves_nothing_to_download(
    registry: ScriptedRegistry, fetcher: FeatureFetcher
) -> None:
    refs = [FeatureRef("ghcr.io", f"acme/features/f{n}", "1") for n in range(10)]
    for n, ref in enumerate(refs):
        archive = feature_tar({**METADATA, "id": ref.id}, entry("n", bytes([n])))
        registry.publish(f"https://ghcr.io/v2/{ref.repository}", "1", METADATA, archive)
    found = fetcher.prefetch([*refs, refs[0]])
    asked = len(registry.requests)
    for resolved in found.values():
        fetcher.archive_tar(resolved)
    assert list(found) == refs
    assert [resolved.metadata.id for resolved in found.values()] == [ref.id for ref in refs]
    assert len(registry.requests) == asked == 20


def test_prefetch_of_nothing_is_nothing(fetcher: FeatureFetcher) -> None:
    assert fetcher.prefetch([]) == {}


def raising(error: Exception):
    def answer(_request: httpx.Request) -> httpx.Response:
        raise error

    return answer


NOT_FEATURES = {
    "html": b"<!doctype html><title>Log in</title>",
    "empty": b"",
    "list": b"[]",
    "deep": b"[" * 200_000,
    "image": feature_manifest(b"x", {}).replace(
        b"application/vnd.devcontainers", b"application/vnd.oci.image.config.v1+json"
    ),
    "no layers": b'{"config": {"mediaType": "application/vnd.devcontainers"}, "layers": []}',
    "layers of numbers": b'{"config": {"mediaType": "application/vnd.devcontainers"},"layers":[1]}',
    "annotation of another type": feature_manifest(b"x", {}).replace(
        b'"annotations": {}', b'"annotations": {"dev.containers.metadata": 5}'
    ),
    "index": b'{"schemaVersion": 2, "manifests": []}',
}


@pytest.mark.parametrize("case", NOT_FEATURES)
def test_what_is_no_feature_is_refused_by_name(
    registry: ScriptedRegistry, fetcher: FeatureFetcher, case: str
) -> None:
    registry.answers[f"{BASE}/manifests/1"] = httpx.Response(200, content=NOT_FEATURES[case])
    with pytest.raises((FeatureNotFound, RegistryError), match=WRITTEN):
        fetcher.resolve(REF)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(404), FeatureNotFound),
        (httpx.Response(403), RegistryAuth),
        (httpx.Response(429), RegistryRateLimited),
        (raising(httpx.ConnectError("refused")), RegistryUnreachable),
        (httpx.Response(502), RegistryUnreachable),
    ],
)
def test_a_registrys_trouble_names_the_feature(
    registry: ScriptedRegistry,
    fetcher: FeatureFetcher,
    answer: httpx.Response,
    error: type[CrewshipError],
) -> None:
    registry.answers[f"{BASE}/manifests/1"] = answer
    with pytest.raises(error) as caught:
        fetcher.resolve(REF, "GHCR.io/acme/features/Tool:1")
    assert "GHCR.io/acme/features/Tool:1" in str(caught.value)
    assert caught.value.message == str(caught.value)


def test_a_swapped_archive_names_the_feature(
    registry: ScriptedRegistry, fetcher: FeatureFetcher
) -> None:
    archive = feature_tar()
    registry.publish(BASE, "1", METADATA, archive)
    registry.answers[f"{BASE}/blobs/{digest(archive)}"] = httpx.Response(200, content=b"evil")
    with pytest.raises(DigestMismatch, match=WRITTEN):
        fetcher.archive_tar(fetcher.resolve(REF))


def test_an_unsafe_archive_names_the_feature_and_the_member(
    registry: ScriptedRegistry, fetcher: FeatureFetcher
) -> None:
    registry.publish(BASE, "1", METADATA, tar_of(entry("../evil", b"x")))
    with pytest.raises(ArchiveUnsafe, match=rf"{WRITTEN}.*\.\./evil"):
        fetcher.archive_tar(fetcher.resolve(REF))


def test_metadata_that_breaks_the_spec_names_the_feature(
    registry: ScriptedRegistry, fetcher: FeatureFetcher
) -> None:
    registry.publish(BASE, "1", {"id": "tool", "options": 5}, feature_tar())
    with pytest.raises(ConfigError, match=WRITTEN):
        fetcher.resolve(REF)


def test_a_manifest_cannot_claim_an_enormous_archive(
    registry: ScriptedRegistry, fetcher: FeatureFetcher
) -> None:
    manifest = feature_manifest(b"x", {}).replace(b'"size": 1}', b'"size": 99999999999}')
    registry.answers[f"{BASE}/manifests/1"] = httpx.Response(200, content=manifest)
    with pytest.raises(RegistryError, match=WRITTEN):
        fetcher.resolve(REF)
    assert len(registry.requests) == 1
