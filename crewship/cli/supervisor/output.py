"""Where the lines of the children go: the terminal, with their names, and a file each."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, TextIO

ROTATE_AT = 5_000_000  # bytes
LONGEST_LINE = 64_000  # bytes; a longer one is shown in pieces
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)  # ANSI foregrounds that read on dark and light
_RED = 31


class Screen:
    """One stream that all lines go to, prefixed; colours only on a terminal without NO_COLOR."""

    def __init__(
        self, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._stream: TextIO | None = stream or sys.stderr
        self._coloured = self._stream.isatty() and not environ.get("NO_COLOR")
        self._names: list[str] = []

    def line(self, name: str, text: str) -> None:
        """The line is shown, or dropped when nobody reads the stream any more."""
        if self._stream is None:
            return
        if name not in self._names:
            self._names.append(name)
        try:
            self._stream.write(f"{self._prefix(name)} {text}\n")
            self._stream.flush()
        except (OSError, ValueError):  # a closed pipe must not stop the children
            self._stream = None

    def _prefix(self, name: str) -> str:
        label = f"{name:<10}|"
        if not self._coloured:
            return label
        colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
        return f"\x1b[{_RED if name == 'crewship' else colour}m{label}\x1b[0m"


class ChildLog:
    """A child's lines: whole in its file, and on the screen unless ``quiet``."""

    def __init__(self, name: str, directory: Path, screen: Screen, *, quiet: bool = False) -> None:
        self._name = name
        self._screen = None if quiet else screen
        self._rest = b""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = directory / f"{name}.log"
        rotate(self.path)
        self._file: BinaryIO = self.path.open("ab", buffering=0)

    def feed(self, data: bytes) -> None:
        """Bytes as they come from the child; a line is shown when it is complete."""
        self._file.write(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._show(line)
        if len(self._rest) > LONGEST_LINE:
            self._show(self._rest)
            self._rest = b""

    def close(self) -> None:
        if self._rest:
            self._show(self._rest)
            self._rest = b""
        self._file.close()

    def tail(self, lines: int) -> list[str]:
        """The last lines in the file."""
        text = self.path.read_bytes()[-LONGEST_LINE:].decode(errors="replace")
        return text.splitlines()[-lines:]

    def _show(self, line: bytes) -> None:
        if self._screen:
            self._screen.line(self._name, line.decode(errors="replace").rstrip("\r"))


def rotate(path: Path, at: int = ROTATE_AT) -> None:
    """A file of ``at`` bytes or more becomes ``<name>.1``; the one before that is gone."""
    if path.exists() and path.stat().st_size >= at:
        path.replace(path.with_name(f"{path.name}.1"))
