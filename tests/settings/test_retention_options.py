"""What an operator may say about how long rows are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from crewship.domain.errors import SettingsError
from crewship.settings.options import RetentionOptions, read_options

NAMES = ("LOG_KEEP_DAYS", "LOG_KEEP_JOBS", "AUDIT_KEEP_DAYS", "KEEP_JOBS", "ENDED_KEEP_DAYS")


def test_nothing_said_is_the_usual(tmp_path: Path) -> None:
    assert read_options(tmp_path).retention == RetentionOptions(30, 5, 400, 50, 30)


def test_what_was_said_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, name in enumerate(NAMES, start=1):
        monkeypatch.setenv(f"CREWSHIP_{name}", str(value))
    assert read_options(tmp_path).retention == RetentionOptions(1, 2, 3, 4, 5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["0", "-1", "for ever"])
def test_what_cannot_be_is_refused_by_name(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CREWSHIP_{name}", value)
    with pytest.raises(SettingsError, match=f"CREWSHIP_{name}"):
        read_options(tmp_path)
