from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from crewship.registry.credentials import credentials_for

AUTH = base64.b64encode(b"joe:se:cret").decode()


def config(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize("key", ["ghcr.io", "https://ghcr.io", "https://ghcr.io/v2/", "GHCR.io"])
def test_auths_are_found_by_host(tmp_path: Path, key: str) -> None:
    path = config(tmp_path, {"auths": {key: {"auth": AUTH}}})
    assert credentials_for("ghcr.io", path) == ("joe", "se:cret")


@pytest.mark.parametrize("host", ["docker.io", "registry-1.docker.io", "index.docker.io"])
def test_docker_hubs_old_key_serves_its_hosts(tmp_path: Path, host: str) -> None:
    path = config(tmp_path, {"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}})
    assert credentials_for(host, path) == ("joe", "se:cret")


def test_another_hosts_credentials_are_never_given(tmp_path: Path) -> None:
    path = config(tmp_path, {"auths": {"ghcr.io": {"auth": AUTH}}})
    assert credentials_for("ghcr.io.evil.example", path) is None
    assert credentials_for("ghcr.io:5000", path) is None


def test_an_identity_token_is_marked_as_such(tmp_path: Path) -> None:
    path = config(tmp_path, {"auths": {"x.example": {"identitytoken": "idt", "auth": AUTH}}})
    assert credentials_for("x.example", path) == ("<token>", "idt")


def test_plain_user_and_password_are_read(tmp_path: Path) -> None:
    path = config(tmp_path, {"auths": {"x.example": {"username": "a", "password": "b"}}})
    assert credentials_for("x.example", path) == ("a", "b")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", {"auths": 5}, {"auths": {"x.example": 1}}, {"auths": {"x.example": {}}},
     {"auths": {"x.example": {"auth": "***"}}}, {"credsStore": "../../bin/sh"},
     {"credsStore": "no-such-helper"}, {"credHelpers": {"x.example": "a b"}}],
)  # fmt: skip
def test_a_broken_config_counts_as_no_credentials(tmp_path: Path, content: object) -> None:
    assert credentials_for("x.example", config(tmp_path, content)) is None


def test_an_absent_config_has_no_credentials(tmp_path: Path) -> None:
    assert credentials_for("x.example", tmp_path / "absent.json") is None


def test_docker_config_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path, {"auths": {"x.example": {"auth": AUTH}}})
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert credentials_for("x.example") == ("joe", "se:cret")


@pytest.mark.parametrize("where", [{"credsStore": "test"}, {"credHelpers": {"x.example": "test"}}])
def test_a_helper_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: dict[str, object]
) -> None:
    helper(
        tmp_path,
        monkeypatch,
        'test "$1" = get && read server\n'
        'echo "{\\"Username\\":\\"$server\\",\\"Secret\\":\\"s\\"}"',
    )
    assert credentials_for("x.example", config(tmp_path, where)) == ("x.example", "s")


def test_a_helper_without_an_answer_leaves_it_to_auths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1")
    path = config(tmp_path, {"credsStore": "test", "auths": {"x.example": {"auth": AUTH}}})
    assert credentials_for("x.example", path) == ("joe", "se:cret")


def test_a_helper_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(tmp_path, monkeypatch, "exec sleep 60")
    monkeypatch.setattr("crewship.registry.credentials.HELPER_TIMEOUT_S", 0.1)
    assert credentials_for("x.example", config(tmp_path, {"credsStore": "test"})) is None
