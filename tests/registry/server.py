"""Registries for tests: a real docker-registry on loopback, and a scripted one in memory."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG = """
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {root}/data}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}
"""
HTPASSWD = "auth: {{htpasswd: {{realm: test, path: {path}}}}}"


@contextmanager
def running_registry(root: Path, htpasswd: Path | None = None) -> Iterator[str]:
    """A docker-registry with its data below ``root``; yields ``127.0.0.1:<port>``."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.fail("no docker-registry: run `.ci/test-tools.sh registry` as root", pytrace=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = root / "registry.yml"
    auth = HTPASSWD.format(path=htpasswd) if htpasswd else ""
    config.write_text(CONFIG.format(root=root, port=port, auth=auth))
    process = subprocess.Popen(
        [program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_it_answers(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"docker-registry ended with {process.returncode}")
        try:
            httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)  # polling another process's start, nothing to wait on
        else:
            return
    raise RuntimeError("docker-registry did not start")


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class ScriptedRegistry:
    """Answers by URL (without query); anything else is 404. Use as an httpx.MockTransport."""

    answers: dict[str, httpx.Response | Handler] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.get(str(request.url.copy_with(query=None)))
        if answer is None:
            return httpx.Response(404)
        whole = answer(request) if callable(answer) else answer
        # As from a socket: a body that is still to be read.
        return httpx.Response(
            whole.status_code, headers=whole.headers, content=iter([whole.content])
        )

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)

    def authorizations(self, host: str) -> list[str | None]:
        """The Authorization header of every request that reached ``host``, in order."""
        return [r.headers.get("authorization") for r in self.requests if r.url.host == host]

    def publish(self, base: str, tag: str, metadata: object, archive: bytes) -> str:
        """A feature below ``base`` (``https://host/v2/repository``); its manifest's digest."""
        annotations = {} if metadata is None else {"dev.containers.metadata": json.dumps(metadata)}
        manifest = feature_manifest(archive, annotations)
        for reference in (tag, digest(manifest)):
            self.answers[f"{base}/manifests/{reference}"] = httpx.Response(
                200, content=manifest, headers={"content-type": MANIFEST_TYPE}
            )
        self.answers[f"{base}/blobs/{digest(archive)}"] = httpx.Response(200, content=archive)
        return digest(manifest)


def feature_manifest(archive: bytes, annotations: dict[str, str]) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.devcontainers",
                "digest": digest(b"{}"),
                "size": 2,
            },
            "layers": [
                {
                    "mediaType": "application/vnd.devcontainers.layer.v1+tar",
                    "digest": digest(archive),
                    "size": len(archive),
                }
            ],
            "annotations": annotations,
        }
    ).encode()
