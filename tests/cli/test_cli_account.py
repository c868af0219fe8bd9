"""Where the client commands find server and token, and how the file is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from crewship.cli.account import Account, config_file, read_account, write_account
from crewship.domain.errors import ConfigError

STORED = Account("http://crews.example", "crs_stored")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def test_what_was_written_is_read(home: dict[str, str], tmp_path: Path) -> None:
    path = write_account(Account("http://crews.example/", "crs_stored"), home)
    assert path == tmp_path / ".config/crewship/config.toml"
    assert read_account(home) == STORED


def test_the_file_is_its_owners_only(home: dict[str, str]) -> None:
    path = config_file(home)
    path.parent.mkdir(parents=True)
    path.write_text("")
    path.chmod(0o644)
    write_account(STORED, home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["config.toml"]


def test_the_environment_wins(home: dict[str, str]) -> None:
    write_account(STORED, home)
    given = {"CREWSHIP_URL": "http://other/", "CREWSHIP_TOKEN": "crs_env"}
    assert read_account(home | given) == Account("http://other", "crs_env")
    assert read_account(home | {"CREWSHIP_TOKEN": "crs_env"}).token == "crs_env"


def test_a_stored_token_is_not_sent_to_another_server(home: dict[str, str]) -> None:
    write_account(STORED, home)
    with pytest.raises(ConfigError):
        read_account(home | {"CREWSHIP_URL": "http://elsewhere.example"})


def test_without_an_account_one_is_told_to_log_in(home: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_account(home)
    assert caught.value.error_code == "not_logged_in"
    assert "crewship login" in caught.value.error_hint


def test_a_broken_file_is_a_readable_error(home: dict[str, str]) -> None:
    write_account(STORED, home).write_text("url = ")
    with pytest.raises(ConfigError) as caught:
        read_account(home)
    assert caught.value.error_code == "config_file"
