"""PATH never gets an empty part: that would be the current directory."""

from __future__ import annotations

from crewship.devcontainer.environment import extend_path


def test_an_empty_part_is_dropped() -> None:
    assert extend_path("/tools:", "/usr/bin:/bin") == "/tools:/usr/bin:/bin"
