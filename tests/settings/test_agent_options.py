"""What an operator may say about agents."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from crewship.domain.errors import SettingsError
from crewship.settings.options import AgentOptions, read_options


def test_nothing_said_is_the_usual(tmp_path: Path):
    assert read_options(tmp_path).agents == AgentOptions(2048, 2.0, 512, 10)


def test_what_was_said_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CREWSHIP_AGENT_MEMORY_MB", "64")
    monkeypatch.setenv("CREWSHIP_AGENT_CPUS", "0.5")
    monkeypatch.setenv("CREWSHIP_AGENT_PIDS", "32")
    monkeypatch.setenv("CREWSHIP_AGENT_GRACE", "0")
    monkeypatch.setenv("CREWSHIP_AGENT_SUBNETS", "172.20.0.0/18")
    wanted = AgentOptions(64, 0.5, 32, 0, IPv4Network("172.20.0.0/18"))
    assert read_options(tmp_path).agents == wanted


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CPUS", "many"),
        ("CPUS", "nan"),
        ("CPUS", "inf"),
        ("CPUS", "0"),
        ("MEMORY_MB", "15"),
        ("PIDS", "1"),
        ("GRACE", "-1"),
        ("SUBNETS", "10.213.0.0/25"),
        ("SUBNETS", "8.8.0.0/16"),
        ("SUBNETS", "10.213.0.1/16"),
        ("SUBNETS", "everywhere"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(f"CREWSHIP_AGENT_{name}", value)
    with pytest.raises(SettingsError, match=f"CREWSHIP_AGENT_{name}"):
        read_options(tmp_path)
