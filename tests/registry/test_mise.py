from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path

import httpx
import pytest

from crewship.domain.errors import DigestMismatch, MiseUnavailable
from crewship.registry import mise
from crewship.registry.blobs import BlobStore
from crewship.registry.mise import MiseSource, ensure_mise
from tests.registry.server import ScriptedRegistry, digest
from tests.registry.tars import entry, tar_of

ELF_AMD64 = b"\x7fELF".ljust(18, b"\0") + b"\x3e\0" + b"pretends to be mise"
NPM = {"npm_config_registry": "https://npm.example"}
TARBALL = f"https://npm.example/@jdxcode/mise-linux-x64/-/mise-linux-x64-{mise.MISE_VERSION}.tgz"
URL = "https://github.example/v2026.9.15/mise-v2026.9.15-linux-x64"
AMD64 = "linux/amd64"


def package(binary: bytes = ELF_AMD64) -> bytes:
    return gzip.compress(tar_of(entry("package/bin/mise", binary, mode=0o755)), mtime=0)


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pin belongs to the small package above."""
    integrity = base64.b64encode(hashlib.sha512(package()).digest()).decode()
    pin = mise._NpmPin("@jdxcode/mise-linux-x64", f"sha512-{integrity}", digest(ELF_AMD64))
    monkeypatch.setattr(mise, "NPM_PINS", {AMD64: pin})


def ensure(
    source: str, blobs: BlobStore, registry: ScriptedRegistry, platform: str = AMD64
) -> mise.MiseBinary:
    return ensure_mise(
        MiseSource.parse(source),
        platform,
        blobs,
        environ=NPM,
        home=blobs.root,
        transport=registry.transport,
    )


@pytest.mark.usefixtures("pinned")
def test_npms_package_gives_an_executable_in_the_store(
    blobs: BlobStore, registry: ScriptedRegistry
) -> None:
    registry.answers[TARBALL] = httpx.Response(200, content=package())
    found = ensure("npm", blobs, registry)
    assert found.path.read_bytes() == ELF_AMD64
    assert found.path.stat().st_mode & 0o111 == 0o111
    assert (found.sha256, found.version) == (found.path.name, mise.MISE_VERSION)


@pytest.mark.usefixtures("pinned")
def test_it_is_downloaded_once(blobs: BlobStore, registry: ScriptedRegistry) -> None:
    registry.answers[TARBALL] = httpx.Response(200, content=package())
    assert ensure("npm", blobs, registry) == ensure("npm", blobs, registry)
    assert len(registry.requests) == 1


@pytest.mark.usefixtures("pinned")
def test_a_registry_with_other_paths_is_asked_for_the_tarball(
    blobs: BlobStore, registry: ScriptedRegistry
) -> None:
    other = "https://files.example/mise.tgz"
    document = f"https://npm.example/@jdxcode/mise-linux-x64/{mise.MISE_VERSION}"
    registry.answers[document] = httpx.Response(200, json={"dist": {"tarball": other}})
    registry.answers[other] = httpx.Response(200, content=package())
    assert ensure("npm", blobs, registry).path.exists()


@pytest.mark.usefixtures("pinned")
def test_another_package_than_the_pinned_one_is_refused(
    blobs: BlobStore, registry: ScriptedRegistry
) -> None:
    registry.answers[TARBALL] = httpx.Response(200, content=package(ELF_AMD64 + b"evil"))
    with pytest.raises(DigestMismatch):
        ensure("npm", blobs, registry)
    assert list((blobs.root / "blobs" / "sha256").iterdir()) == []


@pytest.mark.usefixtures("pinned")
def test_an_unreachable_registry_says_what_to_do(
    blobs: BlobStore, registry: ScriptedRegistry
) -> None:
    with pytest.raises(MiseUnavailable) as caught:
        ensure("npm", blobs, registry)
    assert "path or URL" in caught.value.error_hint


def test_a_platform_without_a_pin_is_said(blobs: BlobStore, registry: ScriptedRegistry) -> None:
    with pytest.raises(MiseUnavailable, match="linux/arm64"):
        ensure("npm", blobs, registry, "linux/arm64")


def test_a_path_is_copied_into_the_store(
    blobs: BlobStore, registry: ScriptedRegistry, tmp_path: Path
) -> None:
    (tmp_path / "mise").write_bytes(ELF_AMD64)
    found = ensure(str(tmp_path / "mise"), blobs, registry)
    assert found.path == blobs.path(digest(ELF_AMD64))
    assert found.version == ""


def test_an_absent_path_is_said_without_naming_it(
    blobs: BlobStore, registry: ScriptedRegistry
) -> None:
    with pytest.raises(MiseUnavailable) as caught:
        ensure("/no/such/mise", blobs, registry)
    assert "/no/such" not in str(caught.value)


def test_a_url_is_verified_by_its_checksum(blobs: BlobStore, registry: ScriptedRegistry) -> None:
    registry.answers[URL] = httpx.Response(200, content=ELF_AMD64)
    source = f"{URL}#sha256={hashlib.sha256(ELF_AMD64).hexdigest()}"
    assert ensure(source, blobs, registry).version == "2026.9.15"


def test_a_url_with_another_content_is_refused(
    blobs: BlobStore, registry: ScriptedRegistry
) -> None:
    registry.answers[URL] = httpx.Response(200, content=b"evil")
    with pytest.raises(DigestMismatch):
        ensure(f"{URL}#sha256={'a' * 64}", blobs, registry)


@pytest.mark.parametrize(
    "content", [b"\x1f\x8bzipped", b"#!/bin/sh\n", b"", ELF_AMD64.replace(b"\x3e", b"\xb7")]
)
def test_what_is_no_binary_for_the_platform_is_refused(
    blobs: BlobStore, registry: ScriptedRegistry, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "mise").write_bytes(content)
    with pytest.raises(MiseUnavailable, match="no plain binary for linux/amd64"):
        ensure(str(tmp_path / "mise"), blobs, registry)


@pytest.mark.parametrize(
    "text",
    ["curl", "./mise", "https://x.example/mise", "https://x.example/mise#sha256=12",
     "ftp://x.example/mise#sha256=" + "a" * 64],
)  # fmt: skip
def test_other_settings_are_refused(text: str) -> None:
    with pytest.raises(MiseUnavailable):
        MiseSource.parse(text)


@pytest.mark.parametrize("text", ["", "npm", " npm "])
def test_npm_is_the_default(text: str) -> None:
    assert MiseSource.parse(text) == MiseSource("npm")
