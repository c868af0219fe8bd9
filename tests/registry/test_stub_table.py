"""A feature is fetched from registries that behave in every way seen in the field.

Each row sets up a registry and a docker config.json; the feature arrives, verified, and neither
the CDN nor, but for what it is owed, the token server saw an Authorization header.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crewship.devcontainer.types import FeatureRef
from crewship.domain.errors import CrewshipError, RegistryAuth, RegistryRateLimited
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.credentials import credentials_for
from crewship.registry.features import FeatureFetcher
from crewship.registry.options import RegistryOptions
from tests.registry.server import digest
from tests.registry.stub import ARCHIVE, BLOB, MANIFEST, REPOSITORY, Stub, basic, running_stub

TAG = f"/v2/{REPOSITORY}/manifests/1"
JOE = basic("joe", "secret")
AUTH = base64.b64encode(b"joe:secret").decode()
Config = Callable[[str], dict[str, object]]


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture
def fetch(
    stub: Stub, blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Config], bytes]:
    """Resolves the feature and reads its archive, with this config.json of docker's."""
    helper = tmp_path / "bin" / "docker-credential-stub"
    helper.parent.mkdir()
    helper.write_text('#!/bin/sh\ncat >/dev/null\necho \'{"Username":"joe","Secret":"secret"}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")

    def run(config: Config) -> bytes:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config(stub.registry.host)))
        options = RegistryOptions(retries=3, auth=lambda host: credentials_for(host, path))
        with OciClient(options, sleep=lambda _s: None) as client:
            fetcher = FeatureFetcher(client, blobs)
            resolved = fetcher.resolve(FeatureRef(stub.registry.host, REPOSITORY, "1"))
            assert resolved.identity == digest(MANIFEST)
            return fetcher.archive_tar(resolved)

    return run


def nobody(_host: str) -> dict[str, object]:
    return {}


def by_auths(host: str) -> dict[str, object]:
    return {"auths": {host: {"auth": AUTH}}}


def by_helper(host: str) -> dict[str, object]:
    return {"credHelpers": {host: "stub"}}


def by_identity_token(host: str) -> dict[str, object]:
    return {"auths": {host: {"identitytoken": "identity"}}}


def public(stub: Stub) -> None:
    pass


def private(stub: Stub) -> None:
    stub.accepts, stub.issues = ["Bearer joe's"], {JOE: "joe's"}


def private_basic(stub: Stub) -> None:
    stub.scheme, stub.accepts = "Basic", [JOE]


def private_by_identity(stub: Stub) -> None:
    stub.accepts, stub.issues = ["Bearer joe's"], {"identity": "joe's"}


def public_to_strangers_only(stub: Stub) -> None:
    """Stored credentials that have expired, for a feature that anybody may have."""
    stub.accepts, stub.issues = ["Bearer anybody's"], {"": "anybody's"}


def refusing_on_the_last_byte(stub: Stub) -> None:
    """The line breaks one byte before the archive's end, and meanwhile the token has expired."""
    private(stub)
    stub.trouble[BLOB] = [lambda talk, _asked: talk.cut(ARCHIVE), stub.refuse]


def cut_and_refusing_strangers(stub: Stub) -> None:
    public_to_strangers_only(stub)
    stub.trouble[BLOB] = [lambda talk, _asked: talk.cut(ARCHIVE), stub.refuse]


def without_digest_header(stub: Stub) -> None:
    stub.digest_header = False


def busy(stub: Stub) -> None:
    def wait(talk: object, _asked: object) -> None:
        talk.answer(429, Retry_After="1")  # type: ignore[attr-defined]

    stub.trouble = {TAG: [wait], BLOB: [wait, wait]}


def resetting(stub: Stub) -> None:
    def reset(talk: object, _asked: object) -> None:
        talk.reset()  # type: ignore[attr-defined]

    stub.trouble = {TAG: [reset], BLOB: [reset, reset]}


def by_cdn(stub: Stub) -> None:
    private(stub)
    stub.blob_by_cdn = True


def basic_by_cdn(stub: Stub) -> None:
    private_basic(stub)
    stub.blob_by_cdn = True


@pytest.mark.parametrize("config", [nobody, by_auths, by_helper, by_identity_token])
@pytest.mark.parametrize(
    "registry", [public, without_digest_header, busy, resetting, public_to_strangers_only]
)
def test_a_public_feature_arrives_whatever_the_login(
    stub: Stub, fetch: Callable[[Config], bytes], registry: Callable[[Stub], None], config: Config
) -> None:
    registry(stub)
    assert b"echo hello" in fetch(config)
    assert not [a for a in stub.registry.authorizations() if a.startswith("Basic")]


@pytest.mark.parametrize(
    ("registry", "config"),
    [
        (private, by_auths),
        (private, by_helper),
        (private_basic, by_auths),
        (private_basic, by_helper),
        (private_by_identity, by_identity_token),
        (refusing_on_the_last_byte, by_auths),
        (refusing_on_the_last_byte, by_helper),
        (cut_and_refusing_strangers, by_auths),
        (by_cdn, by_auths),
        (by_cdn, by_helper),
        (basic_by_cdn, by_auths),
    ],
)
def test_a_private_feature_arrives_and_the_secret_stays_where_it_belongs(
    stub: Stub, fetch: Callable[[Config], bytes], registry: Callable[[Stub], None], config: Config
) -> None:
    registry(stub)
    assert b"echo hello" in fetch(config)
    assert stub.cdn.authorizations() == []
    if stub.scheme == "Basic":
        assert stub.tokens.seen == []  # it was never asked
    else:
        assert set(stub.tokens.authorizations()) <= {JOE}  # owed: the registry named it
        assert "Basic" not in " ".join(stub.registry.authorizations())


@pytest.mark.parametrize(
    ("registry", "config", "error"),
    [
        (private, nobody, RegistryAuth),
        (private_basic, nobody, RegistryAuth),
        (private_by_identity, by_auths, RegistryAuth),
    ],
)
def test_a_private_feature_is_refused_by_name(
    stub: Stub,
    fetch: Callable[[Config], bytes],
    registry: Callable[[Stub], None],
    config: Config,
    error: type[CrewshipError],
) -> None:
    registry(stub)
    with pytest.raises(error, match=REPOSITORY):
        fetch(config)


def test_a_registry_that_stays_busy_is_said_to_be(
    stub: Stub, fetch: Callable[[Config], bytes]
) -> None:
    stub.trouble = {TAG: [lambda talk, _asked: talk.answer(429)] * 9}
    with pytest.raises(RegistryRateLimited):
        fetch(nobody)


def test_the_accept_header_names_manifests_and_blobs(
    stub: Stub, fetch: Callable[[Config], bytes]
) -> None:
    fetch(nobody)
    accepts = {asked.path: asked.accept for asked in stub.registry.seen}
    assert "application/vnd.oci.image.manifest.v1+json" in accepts[TAG]
    assert "application/octet-stream" in accepts[BLOB]
