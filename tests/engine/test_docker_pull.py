"""Pulls: the lines of progress, and what a real engine says about real registries."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from threading import Event
from typing import Any

import docker
import pytest

from crewship.domain.errors import (
    BuildCancelled,
    ImageNotFound,
    RegistryAuth,
    RegistryRateLimited,
    RegistryUnreachable,
)
from crewship.engine.base import ImageInfo, RegistryCredentials
from crewship.engine.docker import DockerEngine
from crewship.engine.docker_pull import PullProgress
from tests.engine.bench import Bench
from tests.engine.loopback_registry import PASSWORD, USERNAME, running_registry


class TestProgress:
    @pytest.fixture(autouse=True)
    def a_progress(self) -> None:
        self.now = 0.0
        self.progress = PullProgress(clock=lambda: self.now)

    def after(self, layer: str, status: str, **detail: int) -> str:
        record: Mapping[str, Any] = {"id": layer, "status": status, "progressDetail": detail}
        return self.progress.line_after(record)

    def test_layers_and_bytes_are_counted(self) -> None:
        for layer in ("a", "b", "c"):
            self.after(layer, "Pulling fs layer")
        self.after("a", "Already exists")
        self.after("b", "Downloading", current=41_000_000, total=90_000_000)
        self.now = 1
        line = self.after("c", "Downloading", current=1_000_000, total=2_000_000)
        assert line == "pulling 1 of 3 layers, 42 MB"

    def test_at_most_two_lines_a_second(self) -> None:
        lines = []
        for step in range(100):
            self.now = step / 100
            lines.append(self.after("a", "Downloading", current=step * 1_000_000, total=1))
        assert len([line for line in lines if line]) == 2

    def test_the_same_line_is_not_said_twice(self) -> None:
        self.after("a", "Downloading", current=5_000_000, total=9_000_000)
        self.now = 2
        assert self.after("a", "Downloading", current=5_000_001, total=9_000_000) == ""

    def test_unpacking_and_the_end_are_named(self) -> None:
        self.after("a", "Downloading", current=2_000_000, total=2_000_000)
        self.now = 1
        unpacking = self.after("a", "Extracting", current=1, total=2_000_000)
        self.now = 2
        done = self.after("a", "Pull complete")
        assert (unpacking, done) == ("unpacking 0 of 1 layers, 2 MB", "pulled 1 layers, 2 MB")

    def test_lines_about_the_whole_image_are_no_layers(self) -> None:
        assert self.progress.line_after({"id": "1", "status": "Pulling from acme/base"}) == ""
        assert self.progress.line() == "up to date"


def pull(
    engine: DockerEngine,
    reference: str,
    *,
    credentials: RegistryCredentials | None = None,
    cancel: Event | None = None,
    lines: list[str] | None = None,
) -> ImageInfo:
    return engine.pull(
        reference,
        platform="linux/amd64",
        credentials=credentials,
        on_progress=(lines if lines is not None else []).append,
        cancel=cancel or Event(),
    )


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_registry(tmp_path_factory.mktemp("closed"), login=True) as address:
        yield address


@pytest.mark.engine
@pytest.mark.registry
class TestRegistry:
    def push(self, bench: Bench, reference: str, auth: dict[str, str] | None = None) -> str:
        """An image of its own under the reference, in the registry only."""
        image_id = bench.import_files("pushed", {"file": reference.encode() * 1000})
        bench.engine.tag(image_id, reference)
        client = docker.APIClient()
        client.push(reference, auth_config=auth or {"username": "x", "password": "x"})
        client.close()
        bench.engine.remove_image(reference)
        bench.engine.remove_image(bench.tag("pushed"))
        return image_id

    def test_an_image_arrives_with_lines_of_progress(
        self, docker_bench: Bench, docker_engine: DockerEngine, registry: str
    ) -> None:
        reference = f"{registry}/acme/base:1"
        image_id = self.push(docker_bench, reference)
        lines: list[str] = []
        found = pull(docker_engine, reference, lines=lines)
        docker_engine.remove_image(reference)
        assert found.image_id == image_id
        assert found.repo_digests[0].startswith(f"{registry}/acme/base@sha256:")
        assert lines[-1].startswith("pulled 1 layers")

    def test_an_image_that_is_there_is_up_to_date(
        self, docker_bench: Bench, docker_engine: DockerEngine, registry: str
    ) -> None:
        reference = f"{registry}/acme/base:2"
        self.push(docker_bench, reference)
        pull(docker_engine, reference)
        lines: list[str] = []
        pull(docker_engine, reference, lines=lines)
        docker_engine.remove_image(reference)
        assert lines == ["up to date"]

    def test_a_digest_is_pulled(
        self, docker_bench: Bench, docker_engine: DockerEngine, registry: str
    ) -> None:
        reference = f"{registry}/acme/base:3"
        image_id = self.push(docker_bench, reference)
        digest = pull(docker_engine, reference).repo_digests[0]
        docker_engine.remove_image(reference)
        found = pull(docker_engine, digest)
        docker_engine.remove_image(digest)
        assert found.image_id == image_id

    def test_a_missing_tag_is_not_found(self, docker_engine: DockerEngine, registry: str) -> None:
        with pytest.raises(ImageNotFound, match="acme/nothing:1"):
            pull(docker_engine, f"{registry}/acme/nothing:1")

    def test_a_registry_that_wants_a_login_says_so(
        self, docker_engine: DockerEngine, closed_registry: str
    ) -> None:
        with pytest.raises(RegistryAuth):
            pull(docker_engine, f"{closed_registry}/acme/base:1")

    def test_credentials_open_it(
        self, docker_bench: Bench, docker_engine: DockerEngine, closed_registry: str
    ) -> None:
        reference = f"{closed_registry}/acme/base:1"
        self.push(docker_bench, reference, {"username": USERNAME, "password": PASSWORD})
        found = pull(docker_engine, reference, credentials=RegistryCredentials(USERNAME, PASSWORD))
        docker_engine.remove_image(reference)
        assert found.tags == (reference,)


@pytest.mark.engine
class TestNoRegistry:
    def test_a_closed_port_is_unreachable(self, docker_engine: DockerEngine) -> None:
        with pytest.raises(RegistryUnreachable, match=r"127\.0\.0\.1:9/x:1"):
            pull(docker_engine, "127.0.0.1:9/x:1")

    def test_an_unknown_host_is_unreachable(self, docker_engine: DockerEngine) -> None:
        with pytest.raises(RegistryUnreachable):
            pull(docker_engine, "registry.invalid/x:1")

    def test_a_rate_limit_is_told(self, docker_engine: DockerEngine) -> None:
        body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}'
        answer = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
        answer += b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        with _Answering(answer) as address, pytest.raises(RegistryRateLimited):
            pull(docker_engine, f"{address}/acme/base:1")

    def test_cancel_ends_the_wait_for_a_silent_registry(self, docker_engine: DockerEngine) -> None:
        cancel = Event()
        with _Answering(None, on_connection=cancel.set) as address:
            begun = time.monotonic()
            with pytest.raises(BuildCancelled):
                pull(docker_engine, f"{address}/acme/base:1", cancel=cancel)
        assert time.monotonic() - begun < 2


class _Answering:
    """A server that gives every request one answer, or (None) never any."""

    def __init__(self, answer: bytes | None, on_connection: Any = lambda: None) -> None:
        self._answer = answer
        self._on_connection = on_connection
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in [self._listener, *self._open]:
            one.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            self._open.append(near)
            self._on_connection()
            if self._answer is not None:
                near.recv(65536)
                near.sendall(self._answer)
                near.close()
