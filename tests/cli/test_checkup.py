"""What ``crewship doctor`` says of each thing it looks at."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from crewship.cli import checkup
from crewship.cli.finding import Finding
from crewship.cli.marks import WARNING
from crewship.devcontainer.policy import Policy
from crewship.domain.errors import EngineUnreachable
from crewship.engine.base import EngineInfo
from crewship.engine.fake import FakeEngine
from crewship.settings.options import Options, RegistrySettings
from tests.registry.test_sockets import raw_server

SetOptions = Callable[..., Options]


def words(found: Iterable[Finding]) -> dict[str, str]:
    return {finding.name: finding.mark.word for finding in found}


def only(found: Iterable[Finding]) -> Finding:
    [finding] = found
    return finding


def test_an_engine_that_is_away_is_broken_and_says_what_to_do(
    set_options: SetOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> EngineInfo:
        raise EngineUnreachable("No engine answers.")

    engine = FakeEngine()
    monkeypatch.setattr(engine, "info", away)
    monkeypatch.setattr(checkup, "host_engine", lambda: engine)
    found = only(checkup.engine(set_options()))
    assert (found.name, found.mark.word) == ("engine", "broken")
    assert "DOCKER_HOST" in found.hint


def test_an_engine_is_told_with_version_and_storage(
    set_options: SetOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    info = replace(engine.info(), version="27.1", storage_driver="overlay2", data_root="/nowhere")
    monkeypatch.setattr(engine, "info", lambda: info)
    monkeypatch.setattr(checkup, "host_engine", lambda: engine)
    found = next(iter(checkup.engine(set_options())))
    assert found.text == "27.1 on linux/amd64, storage overlay2"


def test_an_engine_disk_that_is_not_seen_is_unchecked(set_options: SetOptions) -> None:
    info = replace(FakeEngine().info(), data_root="/var/lib/docker", on_this_machine=False)
    found = checkup.engine_room(info, set_options())
    assert (found.name, found.mark.word) == ("engine disk", "warning")
    assert "unchecked" in found.text
    assert "CREWSHIP_ENGINE_DISK" in found.hint


def test_an_engine_disk_may_be_named(set_options: SetOptions, tmp_path: Path) -> None:
    found = checkup.engine_room(FakeEngine().info(), set_options(engine_disk=str(tmp_path)))
    assert f"free at {tmp_path}" in found.text


@pytest.mark.parametrize("clock", ["2001-01-01T00:00:00.123456789Z", "2001-01-01T02:00:00+02:00"])
def test_a_clock_of_another_time_is_a_warning(clock: str) -> None:
    info = EngineInfo("x", "1", "1", "linux/amd64", "overlay2", clock=clock)
    found = only(checkup.engine_clock(info))
    assert found.mark.word == "warning"
    assert "behind this machine's" in found.text


@pytest.mark.parametrize(("ahead", "word"), [(4.0, "ok"), (-4.0, "ok"), (60.0, "warning")])
def test_a_few_seconds_are_no_skew(ahead: float, word: str) -> None:
    assert checkup.skew("clock", ahead).mark.word == word


def test_an_embedded_redis_may_be_away_and_a_configured_one_not(set_options: SetOptions) -> None:
    url = "redis://127.0.0.1:1/0"
    embedded = set_options(redis_url=url, redis_is_embedded=True)
    assert words(checkup.redis_server(embedded)) == {"redis": "warning"}
    configured = set_options(redis_url=url, redis_is_embedded=False)
    assert words(checkup.redis_server(configured)) == {"redis": "broken"}


@pytest.mark.parametrize(("policy", "word"), [("noeviction", "ok"), ("allkeys-lru", "broken")])
def test_redis_must_not_evict(
    policy: str, word: str, set_options: SetOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Redis:
        def __enter__(self) -> Redis:
            return self

        def __exit__(self, *_: object) -> None: ...

        def info(self, _section: str) -> dict[str, str]:
            return {"redis_version": "7.2"}

        def config_get(self, name: str) -> dict[str, str]:
            return {name: policy}

    monkeypatch.setattr("crewship.cli.checkup.redis.from_url", lambda *_a, **_k: Redis())
    assert words(checkup.redis_server(set_options())) == {"redis": word}


@pytest.mark.parametrize(("mode", "word"), [(0o700, "ok"), (0o755, "warning"), (0o770, "warning")])
def test_a_data_directory_is_its_owners_only(mode: int, word: str, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    assert words(checkup.data_directory(tmp_path))["data directory"] == word


def test_a_data_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    found = only(checkup.data_directory(tmp_path / "data"))
    assert found.mark.word == "warning"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mode", "word"), [(0o600, "ok"), (0o644, "broken")])
def test_a_secret_key_is_its_owners_only(mode: int, word: str, tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("k" * 60)
    (tmp_path / "secret-key").chmod(mode)
    assert words(checkup.secret_key(tmp_path, "")) == {"secret key": word}


@pytest.mark.parametrize(
    ("given", "word"), [("", "warning"), ("short", "warning"), ("k" * 50, "ok")]
)
def test_a_secret_key_may_be_given(given: str, word: str, tmp_path: Path) -> None:
    assert words(checkup.secret_key(tmp_path, given)) == {"secret key": word}


@pytest.mark.parametrize(("free", "word"), [(1e9, "broken"), (5e9, "warning"), (5e10, "ok")])
def test_a_full_disk_is_told_before_it_hurts(
    free: float, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake: Any = type("Usage", (), {"free": int(free)})
    monkeypatch.setattr("crewship.cli.checkup.shutil.disk_usage", lambda _path: fake)
    assert checkup.disk("disk", Path("/")).mark.word == word


@pytest.mark.parametrize(("status", "word"), [(200, "ok"), (401, "ok"), (502, "warning")])
def test_a_registry_is_asked_where_its_mirror_is(
    status: int, word: str, set_options: SetOptions, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/v2/").respond_with_data("{}", status=status)
    mirror = f"127.0.0.1:{httpserver.port}"
    options = set_options(
        policy=Policy(registries=("quay.io",), publishers=("ghcr.io/o/features",)),
        registry=RegistrySettings(
            mirrors={"quay.io": mirror}, layouts={"ghcr.io/o/features": "/layout"}
        ),
    )
    found = only(checkup.registries(options))
    assert (found.name, found.mark.word) == ("registry quay.io", word)
    assert mirror in found.text


def test_a_registry_that_is_away_is_a_warning(set_options: SetOptions) -> None:
    policy = Policy(registries=("127.0.0.1:1",), publishers=())
    assert words(checkup.registries(set_options(policy=policy))) == {
        "registry 127.0.0.1:1": "warning"
    }


def test_mise_by_path_must_be_there(set_options: SetOptions, tmp_path: Path) -> None:
    (tmp_path / "mise").write_bytes(b"\x7fELF")
    for source, word in ((tmp_path / "mise", "ok"), (tmp_path / "other", "broken")):
        assert words(checkup.mise(set_options(mise_source=str(source)))) == {"mise": word}
    assert words(checkup.mise(set_options(mise_source="ftp://x"))) == {"mise": "broken"}


def test_a_registry_that_drips_its_headers_is_given_up(
    set_options: SetOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not stop.wait(0.05):
            connection.sendall(b"x")

    monkeypatch.setattr(checkup, "PATIENCE_S", 0.5)
    with raw_server(drip) as host:
        options = set_options(policy=Policy(publishers=(), registries=(host,)))
        [finding] = checkup.registries(options)
        stop.set()
    assert finding.mark == WARNING
    assert "did not finish" in finding.text
