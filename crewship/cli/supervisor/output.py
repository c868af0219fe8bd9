"""The one stream that all lines are shown on: the terminal, with the name of each process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

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
        """The line is shown, or dropped: for good when nobody reads the stream any more, else
        (the stream is a file on a full disk) only this one."""
        if self._stream is None:
            return
        if name not in self._names:
            self._names.append(name)
        try:
            self._stream.write(f"{self._prefix(name)} {text}\n")
            self._stream.flush()
        except (BrokenPipeError, ValueError):  # a closed pipe must not stop the children
            self._stream = None
        except OSError:
            return

    def _prefix(self, name: str) -> str:
        label = f"{name:<10}|"
        if not self._coloured:
            return label
        colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
        return f"\x1b[{_RED if name == 'crewship' else colour}m{label}\x1b[0m"
