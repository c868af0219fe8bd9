"""The mise binary, verified before its first use and kept in the blob store. Never ``curl | bash``.

One setting says where it comes from:
- ``npm`` (default): the package that mise's author publishes, at a version and checksum pinned
  here, from whatever npm registry this host is set up for (npm itself is not needed);
- a path: ``/opt/mise/mise``, the operator's own copy;
- a URL of the plain binary with its checksum, for instance of a GitHub release:
  ``https://github.com/jdx/mise/releases/download/v2026.9.15/mise-v2026.9.15-linux-arm64#sha256=…``
  (the release's SHASUMS256.txt has it; the ``.tar.gz`` files there won't do).
npm has no package for linux/arm64 that could be pinned here: use one of the other two there.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO, Self
from urllib.parse import urlsplit

import httpx

from crewship.domain.errors import (
    DigestMismatch,
    MiseUnavailable,
    RegistryError,
    RegistryUnreachable,
)
from crewship.registry.blobs import BlobStore
from crewship.registry.deadline import Deadline
from crewship.registry.http import BoundedHttp, host_of, iter_body, read_body
from crewship.registry.npmrc import npm_settings
from crewship.registry.options import RegistryOptions

MISE_VERSION = "2026.9.15"
BINARY_LIMIT = 400 * 1024 * 1024  # bytes; 151 MB at the pinned version
PACKAGE_LIMIT = 200 * 1024 * 1024  # bytes; 52 MB at the pinned version
_BINARY_IN_PACKAGE = "package/bin/mise"
TOTAL_S = 600.0  # for everything that one call may wait for
_CHUNK = 1024 * 1024
_ELF_MACHINES = {"linux/amd64": 0x3E, "linux/arm64": 0xB7}


@dataclass(frozen=True, slots=True)
class _NpmPin:
    package: str
    integrity: str  # of the package's tgz, as npm writes it
    binary_digest: str  # of bin/mise in it


NPM_PINS: Mapping[str, _NpmPin] = {
    "linux/amd64": _NpmPin(
        "@jdxcode/mise-linux-x64",
        "sha512-ButPFGyztN0Rk/HOHvHuf+W80CkvQRAjbDWHvhGJc3PnL3e2KhCYZIOyjx8wPkhr9VJa/7sJZXpxtt5JLjsfaQ==",
        "sha256:09ea631d6f3e7031d63606a0892dc4c796f9fb57f493bc45937f9f7113c88216",
    ),
}


@dataclass(frozen=True, slots=True)
class MiseSource:
    """One of ``npm``, ``path``, ``url``."""

    kind: str
    location: str = ""  # path or URL
    digest: str = ""  # "sha256:…" of a URL's binary

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises MiseUnavailable for anything that is none of the three."""
        text = text.strip()
        if text in ("", "npm"):
            return cls("npm")
        if "://" in text:
            url, _, fragment = text.partition("#")
            match = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment.lower())
            if urlsplit(url).scheme not in ("http", "https") or match is None:
                raise MiseUnavailable("The mise source must be http(s) and end in #sha256=<64 hex>")
            return cls("url", url, f"sha256:{match[1]}")
        if not text.startswith("/"):
            raise MiseUnavailable("The mise source is neither npm, an absolute path, nor a URL")
        return cls("path", text)


@dataclass(frozen=True, slots=True)
class MiseBinary:
    path: Path  # in the blob store, executable; it must be named `mise` where it is run
    sha256: str  # 64 hex digits
    version: str  # "2026.9.15"; "" where neither pin nor name tells


def ensure_mise(
    source: MiseSource,
    platform: str,
    blobs: BlobStore,
    *,
    environ: Mapping[str, str] = os.environ,
    home: Path | None = None,
    transport: httpx.BaseTransport | None = None,
    cancel: Event | None = None,
) -> MiseBinary:
    """A verified mise for ``platform`` (``linux/amd64``) in ``blobs``, downloaded at most once
    per store, also when several processes ask.

    Raises MiseUnavailable (no such binary, not reachable, wrong platform, TOTAL_S over),
    DigestMismatch, BuildCancelled within a second after ``cancel`` was set.
    """
    home = home or Path.home()
    deadline = Deadline(TOTAL_S, cancel)
    with _exclusive(blobs, deadline):
        if source.kind == "path":
            digest, version = _copy(Path(source.location), blobs), _version_in(source.location)
        elif source.kind == "url":
            digest, version = source.digest, _version_in(source.location)
            if blobs.find(digest) is None:
                with _http(environ, home, transport) as http:
                    _download(http, source.location, digest, blobs, deadline)
        else:
            pin = NPM_PINS.get(platform)
            if pin is None:
                raise MiseUnavailable(f"npm has no pinned mise for {platform}")
            digest, version = pin.binary_digest, MISE_VERSION
            if blobs.find(digest) is None:
                with _http(environ, home, transport) as http:
                    registry = npm_settings(environ, home).registry
                    _install_from_npm(http, registry, pin, blobs, deadline)
    path = blobs.path(digest)
    _check_platform(path, platform)
    return MiseBinary(path, digest.removeprefix("sha256:"), version)


@contextmanager
def _exclusive(blobs: BlobStore, deadline: Deadline) -> Iterator[None]:
    """One download at a time on this host; who waits for it keeps to the deadline too."""
    try:
        with blobs.exclusive("mise", lambda: deadline.check("the download of mise")):
            yield
    except RegistryUnreachable as err:
        raise MiseUnavailable(f"mise can't be downloaded: {err.message}") from err


@contextmanager
def _http(
    environ: Mapping[str, str], home: Path, transport: httpx.BaseTransport | None
) -> Iterator[BoundedHttp]:
    settings = npm_settings(environ, home)
    options = RegistryOptions(ca_bundle=settings.ca_bundle, total_timeout_s=TOTAL_S)
    http = BoundedHttp(options, transport)
    try:
        yield http
    except RegistryError as err:
        if isinstance(err, DigestMismatch):
            raise
        raise MiseUnavailable(f"mise can't be downloaded: {err.message}") from err
    finally:
        http.close()


def _download(
    http: BoundedHttp, url: str, digest: str, blobs: BlobStore, deadline: Deadline
) -> None:
    def attempt() -> None:
        with http.stream(url, {}, deadline) as response:
            _require_ok(response, url)
            blobs.write(digest, iter_body(response, BINARY_LIMIT, deadline), executable=True)

    http.retrying(attempt, host_of(url), deadline)


def _install_from_npm(
    http: BoundedHttp, registry: str, pin: _NpmPin, blobs: BlobStore, deadline: Deadline
) -> None:
    with blobs.temporary() as package:
        # Most registries have this layout; the others tell in the version's document.
        leaf = pin.package.rpartition("/")[2]
        url = f"{registry}/{pin.package}/-/{leaf}-{MISE_VERSION}.tgz"
        if not _fetch_package(http, url, pin, package, deadline):
            url = _tarball_url(http, f"{registry}/{pin.package}/{MISE_VERSION}", deadline)
            if not _fetch_package(http, url, pin, package, deadline):
                raise MiseUnavailable(f"{host_of(registry)} has no {pin.package} {MISE_VERSION}")
        blobs.write(pin.binary_digest, _binary_chunks(package), executable=True)


def _fetch_package(
    http: BoundedHttp, url: str, pin: _NpmPin, into: Path, deadline: Deadline
) -> bool:
    """Whether the verified package is in ``into`` now; False for a 404."""

    def attempt() -> bool:
        with http.stream(url, {}, deadline) as response:
            if response.status_code == 404:
                return False
            _require_ok(response, url)
            hasher = hashlib.sha512()
            with into.open("wb") as out:
                for chunk in iter_body(response, PACKAGE_LIMIT, deadline):
                    hasher.update(chunk)
                    out.write(chunk)
        found = f"sha512-{base64.b64encode(hasher.digest()).decode()}"
        if found != pin.integrity:
            raise DigestMismatch(f"{pin.package} {MISE_VERSION} is {found}, not {pin.integrity}")
        return True

    return http.retrying(attempt, host_of(url), deadline)


def _tarball_url(http: BoundedHttp, url: str, deadline: Deadline) -> str:
    def attempt() -> bytes:
        with http.stream(url, {"Accept": "application/json"}, deadline) as response:
            _require_ok(response, url)
            return read_body(response, 4 * 1024 * 1024, deadline)

    try:
        tarball = json.loads(http.retrying(attempt, host_of(url), deadline))["dist"]["tarball"]
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        raise MiseUnavailable(f"{host_of(url)} does not answer as an npm registry") from err
    if not isinstance(tarball, str) or not tarball.startswith(("http://", "https://")):
        raise MiseUnavailable(f"{host_of(url)} does not answer as an npm registry")
    return tarball


def _require_ok(response: httpx.Response, url: str) -> None:
    if response.status_code != 200:
        raise MiseUnavailable(f"{host_of(url)} answers {response.status_code} for mise")


def _binary_chunks(package: Path) -> Iterator[bytes]:
    """bin/mise out of a package whose checksum was right: the content is known, so the standard
    reader will do."""
    try:
        with tarfile.open(package, "r:gz") as tar:
            file = tar.extractfile(_BINARY_IN_PACKAGE)
            if file is None:
                raise MiseUnavailable("The mise package has no binary")
            yield from _read_chunks(file)
    except (tarfile.TarError, KeyError, EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise MiseUnavailable("The mise package is damaged") from err


def _copy(path: Path, blobs: BlobStore) -> str:
    try:
        with path.open("rb") as file:
            hasher = hashlib.sha256()
            for chunk in _read_chunks(file):
                hasher.update(chunk)
            digest = f"sha256:{hasher.hexdigest()}"
            if blobs.find(digest) is None:
                file.seek(0)
                blobs.write(digest, _read_chunks(file), executable=True)
    except OSError as err:
        raise MiseUnavailable(f"The mise binary can't be read: {err.strerror}") from err
    return digest


def _read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _version_in(location: str) -> str:
    match = re.search(r"v(\d{4}\.\d+\.\d+)", location)
    return match[1] if match else ""


def _check_platform(path: Path, platform: str) -> None:
    with path.open("rb") as file:
        header = file.read(20)
    machine = int.from_bytes(header[18:20], "little")
    if header[:4] != b"\x7fELF" or machine != _ELF_MACHINES.get(platform, machine):
        raise MiseUnavailable(f"The configured mise is no plain binary for {platform}")
