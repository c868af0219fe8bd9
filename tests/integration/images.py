"""Base images made for tests: small roots from Debian's packages, loaded with a config of our own.

They are named after the local registry, so that they are of an allowed one, and are on the host,
so that nothing is pulled.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import docker

from tests.engine.real import BASE_IMAGE

PASSWD = "root:x:0:0::/root:/bin/sh\n"
_DOWNLOAD = """
set -e
dpkg --add-architecture arm64
apt-get update -qq
mkdir /roots && cd /roots
apt-get download -qq busybox-static busybox-static:arm64 musl
dpkg-deb -x musl_*_amd64.deb amd64
for a in amd64 arm64; do dpkg-deb -x busybox-static_*_$a.deb $a; done
"""


@dataclass(frozen=True)
class Link:
    target: str


Files = Mapping[str, bytes | str | Link]  # path -> content; programs are bytes, texts str


def programs() -> dict[str, bytes]:
    """busybox (static) for two processors, and musl's loader, by their path in Debian's packages:
    ``amd64/bin/busybox``."""
    wanted = "amd64/bin/busybox arm64/bin/busybox amd64/lib/x86_64-linux-musl/libc.so"
    script = f"({_DOWNLOAD}) >&2; tar -c -C /roots {wanted}"
    command = ["docker", "run", "--rm", BASE_IMAGE, "sh", "-c", script]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        return {m.name: _read(tar, m) for m in tar.getmembers()}


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def layer(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            if isinstance(content, Link):
                member.type, member.linkname = tarfile.SYMTYPE, content.target
                tar.addfile(member)
                continue
            data = content.encode() if isinstance(content, str) else content
            member.size, member.mode = len(data), 0o644 if isinstance(content, str) else 0o755
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@dataclass
class Images:
    """Makes images and forgets them at the end."""

    client: docker.DockerClient
    registry: str
    programs: Mapping[str, bytes]
    made: set[str] = field(default_factory=set)

    def load(
        self,
        name: str,
        layers: Sequence[bytes],
        *,
        architecture: str = "amd64",
        **config: Any,  # Any: JSON, as Volumes={"/data": {}}
    ) -> str:
        """The image's reference, another one for each content."""
        digests = [f"sha256:{hashlib.sha256(blob).hexdigest()}" for blob in layers]
        document = {
            "architecture": architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": digests},
        }
        version = hashlib.sha256(json.dumps(document).encode()).hexdigest()[:12]
        tag = f"{self.registry}/made/{name}:{version}"
        names = [f"{number}.tar" for number in range(len(layers))]
        manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": names}]
        archive = layer(
            {
                **dict(zip(names, layers, strict=True)),
                "config.json": json.dumps(document),
                "manifest.json": json.dumps(manifest),
            }
        )
        self.client.images.load(archive)
        self.made.add(tag)
        return tag

    def busybox(self, *, architecture: str = "amd64", **files: str) -> bytes:
        """A root layer with sh and nothing else on its own path; ``files`` go into /etc."""
        return layer(
            {
                "bin/busybox": self.programs[f"{architecture}/bin/busybox"],
                "bin/sh": Link("busybox"),
                "usr/bin/env": Link("/bin/busybox"),
                "usr/local/bin/.keep": "",
                **{f"etc/{name}": text for name, text in {"passwd": PASSWD, **files}.items()},
            }
        )

    def musl(self) -> bytes:
        """What to put on a busybox root to make it one of musl's."""
        libc = "lib/x86_64-linux-musl/libc.so"
        return layer(
            {
                libc: self.programs[f"amd64/{libc}"],
                "lib/ld-musl-x86_64.so.1": Link("x86_64-linux-musl/libc.so"),
            }
        )

    def remove(self) -> None:
        for tag in self.made:
            self.client.images.remove(tag, force=True, noprune=True)
