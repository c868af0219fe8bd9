"""Node in nodejs.org's layout, made from npm packages, for where nodejs.org can't be reached.

``node-linux-<arch>@22`` has the node binary, ``npm@10`` what comes with it. mise reads the result
by MISE_NODE_MIRROR_URL: ``index.json``, ``v<version>/node-v<version>-linux-<arch>.tar.gz`` and
``v<version>/SHASUMS256.txt``. npm itself is not needed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.server
import ipaddress
import json
import os
import platform
import shutil
import ssl
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx

from crewship.domain.errors import DigestMismatch, Unavailable
from crewship.registry.npmrc import npm_settings

NODE_MAJOR = 22
NPM_MAJOR = 10
PACKAGE_LIMIT = 300 * 1024 * 1024  # bytes; node's package has about 45 MB
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}
_PUBLIC_REGISTRY_HOST = "registry.npmjs.org"


class MirrorUnavailable(Unavailable):
    code = "node_mirror_unavailable"
    hint = "Let this host reach nodejs.org or an npm registry."


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    url: str
    sha512: bytes


def ensure_mirror(directory: Path) -> Path:
    """The mirror is in ``directory``, made when absent and kept; returns ``directory``.

    Raises MirrorUnavailable (no registry, no such package), DigestMismatch.
    """
    if (directory / "index.json").is_file():
        return directory
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise MirrorUnavailable(f"npm has no node for {platform.machine()}")
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".node-mirror-", dir=directory.parent))
    try:
        with _client() as client:
            node = _newest(client, f"node-linux-{architecture}", NODE_MAJOR)
            npm = _newest(client, "npm", NPM_MAJOR)
            with _download(client, node) as node_tgz, _download(client, npm) as npm_tgz:
                _write_mirror(draft, architecture, node, node_tgz, npm, npm_tgz)
        draft.chmod(0o755)
        shutil.rmtree(directory, ignore_errors=True)  # what a killed run left
        draft.rename(directory)
    except httpx.HTTPError as err:
        raise MirrorUnavailable(f"the npm registry can't be read: {type(err).__name__}") from err
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return directory


def serve_in_background(directory: Path, host: str, port: int = 0) -> str:
    """The directory is served at the returned URL until this process ends (port 0: any)."""
    handler = partial(_QuietHandler, directory=str(directory))
    server = http.server.ThreadingHTTPServer((host, port), handler)
    threading.Thread(target=server.serve_forever, daemon=True, name="node-mirror").start()
    return f"http://{host}:{server.server_address[1]}/"


def bridge_address(network: str = "bridge") -> str:
    """This machine's address on an engine's bridge network, where containers reach it.

    Older engines do not list a gateway for the default bridge: it is the subnet's first address.
    Raises MirrorUnavailable.
    """
    argv = ["docker", "network", "inspect", network]
    try:
        said = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError) as err:
        raise MirrorUnavailable(f"the engine does not tell about its network {network}") from err
    return gateway_of(json.loads(said)[0])


def gateway_of(network: dict[str, Any]) -> str:  # Any: the engine's JSON
    """The IPv4 gateway in what ``docker network inspect`` says of one network."""
    configs = (network.get("IPAM") or {}).get("Config") or []
    for config in configs:
        if config.get("Gateway") and ":" not in config["Gateway"]:
            return str(config["Gateway"]).partition("/")[0]
    for config in configs:
        if config.get("Subnet") and ":" not in config["Subnet"]:
            return str(next(ipaddress.ip_network(config["Subnet"], strict=False).hosts()))
    raise MirrorUnavailable(f"network {network.get('Name')} has no address of this machine")


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


def _client() -> httpx.Client:
    bundle = npm_settings(os.environ, Path.home()).ca_bundle
    context = ssl.create_default_context(cafile=str(bundle) if bundle else None)
    return httpx.Client(verify=context, follow_redirects=True, timeout=60)


def _registry() -> str:
    return npm_settings(os.environ, Path.home()).registry


def _newest(client: httpx.Client, name: str, major: int) -> Package:
    """The highest released version of a major, from the package's short document."""
    registry = _registry()
    accept = "application/vnd.npm.install-v1+json, application/json;q=0.8"
    answer = client.get(f"{registry}/{name}", headers={"Accept": accept})
    answer.raise_for_status()
    versions = answer.json()["versions"]
    numbers = [_numbers(text) for text in versions if "-" not in text]
    mine = [number for number in numbers if number[0] == major]
    if not mine:
        raise MirrorUnavailable(f"the npm registry has no {name}@{major}")
    version = ".".join(map(str, max(mine)))
    dist = versions[version]["dist"]
    return Package(
        name, version, tarball_url(dist["tarball"], registry), _sha512(dist["integrity"])
    )


def tarball_url(tarball: str, registry: str) -> str:
    """Where to download from: a tarball of npm's own host is asked of the configured registry,
    as npm does it, since a mirror's documents may still name the origin."""
    parts = urlsplit(tarball)
    return f"{registry}{parts.path}" if parts.hostname == _PUBLIC_REGISTRY_HOST else tarball


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("+")[0].split("."))


def _sha512(integrity: str) -> bytes:
    for item in integrity.split():
        if item.startswith("sha512-"):
            try:
                return base64.b64decode(item.removeprefix("sha512-"), validate=True)
            except binascii.Error:
                break
    raise DigestMismatch("an npm package comes without a usable sha512")


@contextmanager
def _download(client: httpx.Client, package: Package) -> Iterator[IO[bytes]]:
    """The package's tgz, verified. Raises DigestMismatch."""
    hasher = hashlib.sha512()
    size = 0
    with tempfile.TemporaryFile() as file:
        with client.stream("GET", package.url) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                size += len(chunk)
                if size > PACKAGE_LIMIT:
                    raise MirrorUnavailable(f"{package.name} is larger than it can be")
                hasher.update(chunk)
                file.write(chunk)
        if hasher.digest() != package.sha512:
            raise DigestMismatch(f"{package.name} {package.version} is not what was published")
        file.seek(0)
        yield file


def _write_mirror(
    root: Path,
    architecture: str,
    node: Package,
    node_tgz: IO[bytes],
    npm: Package,
    npm_tgz: IO[bytes],
) -> None:
    version = f"v{node.version}"
    top = f"node-{version}-linux-{architecture}"
    folder = root / version
    folder.mkdir()
    archive = folder / f"{top}.tar.gz"
    # Level 1: it is read once or twice, by a container on this machine.
    with tarfile.open(archive, "w:gz", compresslevel=1) as out:
        _copy(node_tgz, out, {"package/bin/node": f"{top}/bin/node"})
        _copy(npm_tgz, out, {"package/": f"{top}/lib/node_modules/npm/"})
        for command in ("npm", "npx"):
            link = tarfile.TarInfo(f"{top}/bin/{command}")
            link.type = tarfile.SYMTYPE
            link.linkname = f"../lib/node_modules/npm/bin/{command}-cli.js"
            out.addfile(link)
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    (folder / "SHASUMS256.txt").write_text(f"{digest}  {archive.name}\n")
    entry = {
        "version": version,
        "date": "2000-01-01",  # required by readers, used by none here
        "files": [f"linux-{architecture}"],
        "npm": npm.version,
        "lts": False,
        "security": False,
    }
    (root / "index.json").write_text(json.dumps([entry]))


def _copy(source: IO[bytes], out: tarfile.TarFile, places: dict[str, str]) -> None:
    """Regular files whose name begins with a key go below its value; nothing else is taken."""
    with tarfile.open(fileobj=source, mode="r:gz") as tar:
        for member in tar:
            place = next((key for key in places if member.name.startswith(key)), None)
            file = tar.extractfile(member) if place and member.isreg() else None
            if place is None or file is None:
                continue
            info = tarfile.TarInfo(places[place] + member.name.removeprefix(place))
            info.size = member.size
            runs = "/bin/" in info.name or member.mode & 0o100
            info.mode = 0o755 if runs else 0o644
            out.addfile(info, file)
