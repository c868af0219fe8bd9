"""The texts of a crew as files: found, read byte for byte, and never empty."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from crewship.domain.errors import ConfigError

PLACES: Final = (".devcontainer/devcontainer.json", ".devcontainer.json", "devcontainer.json")
# The files of a project that a crew is made of: the first that is there of each kind.
KINDS: Final = (
    PLACES,
    ("mise.toml", ".mise.toml", "mise.json"),
    (".devcontainer/devcontainer-lock.json", ".devcontainer-lock.json", "devcontainer-lock.json"),
)
STDIN: Final = "-"


def read_devcontainer(place: str) -> str:
    """The text of a devcontainer.json: the file, or the one in the folder ``place``."""
    return read_text(place if place == STDIN else str(find_devcontainer(Path(place))))


def find_devcontainer(place: Path) -> Path:
    """``place``, or the devcontainer.json in the folder ``place``; ConfigError where none is."""
    if not place.is_dir():
        return place
    found = next((place / name for name in PLACES if (place / name).is_file()), None)
    if found is None:
        raise ConfigError(
            f"{place} has no devcontainer.json.",
            code="file_unreadable",
            hint=f"Looked for {', '.join(PLACES)}.",
        )
    return found


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


def read_project(folder: Path) -> dict[str, str]:
    """The texts of a project's files by name. Raises ConfigError for an empty one."""
    found = {}
    for names in KINDS:
        name = next((name for name in names if (folder / name).is_file()), None)
        if name is not None:
            found[name] = read_text(str(folder / name))
    return found


def write_project(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """The files are in the folder, byte for byte. Raises ConfigError, and writes nothing, where one
    is there already or a name is none of a crew's files."""
    unknown = [name for name in files if not any(name in names for names in KINDS)]
    there = [name for name in files if (folder / name).exists()]
    if unknown or there:
        what = "is not a file of a crew" if unknown else "exists already"
        raise ConfigError(
            f"{(unknown or there)[0]} {what}.", code="file_exists", hint="Nothing was written."
        )
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        except OSError as err:
            raise _unreadable(f"{path} can't be written: {err.strerror}.") from err
    return [folder / name for name in files]


def _unreadable(message: str) -> ConfigError:
    return ConfigError(message, code="file_unreadable", hint="Check the path and its permissions.")
