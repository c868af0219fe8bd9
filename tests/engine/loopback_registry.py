"""A real docker-registry on loopback, with or without a login."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USERNAME, PASSWORD = "crewship", "secret"
# bcrypt of PASSWORD, the only hash that docker-registry takes.
HTPASSWD = f"{USERNAME}:$2b$05$8ThvL78N9cMVWCms0xSccOGGRtVyRL8Vi.O86ZSi3pXddLpuzioLi\n"


@contextmanager
def running_registry(folder: Path, *, login: bool = False) -> Iterator[str]:
    """Its "127.0.0.1:port", while the block runs."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.fail("docker-registry is missing: run `make setup` as root", pytrace=False)
    port = _free_port()
    address = f"127.0.0.1:{port}"
    (folder / "htpasswd").write_text(HTPASSWD)
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}/data\n"
        f"http:\n  addr: {address}\n"
        + (f"auth:\n  htpasswd:\n    realm: x\n    path: {folder}/htpasswd\n" if login else "")
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        _await_port(port)
        yield address
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    pytest.fail("docker-registry did not start within 10 s")
