"""The texts of a crew as files: found, read byte for byte, and never empty."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from crewship.domain.errors import ConfigError

PLACES: Final = (".devcontainer/devcontainer.json", ".devcontainer.json", "devcontainer.json")
STDIN: Final = "-"


def read_devcontainer(place: str) -> str:
    """The text of a devcontainer.json: the file, or the one in the folder ``place``."""
    path = Path(place)
    if place != STDIN and path.is_dir():
        found = [path / name for name in PLACES if (path / name).is_file()]
        if not found:
            raise ConfigError(
                f"{place} has no devcontainer.json.",
                code="file_unreadable",
                hint=f"Looked for {', '.join(PLACES)}.",
            )
        place = str(found[0])
    return read_text(place)


def read_text(place: str) -> str:
    """The file's text (``-``: standard input). Raises ConfigError for what can't be read as UTF-8,
    and for nothing: an empty text would clear what the crew has."""
    try:
        raw = sys.stdin.buffer.read() if place == STDIN else Path(place).read_bytes()
        text = raw.decode()
    except OSError as err:
        raise _unreadable(f"{place} can't be read: {err.strerror}.") from err
    except UnicodeDecodeError as err:
        raise _unreadable(f"{place} is not UTF-8 (byte {err.start + 1}).") from err
    if not text.strip():
        raise ConfigError(
            f"{place} is empty.", code="empty_file", hint="Use --clear to empty a crew's text."
        )
    return text


def _unreadable(message: str) -> ConfigError:
    return ConfigError(message, code="file_unreadable", hint="Check the path and its permissions.")
