"""From what a script prints to lines that are safe to store and to show anywhere.

Colours (SGR sequences) stay; every other control sequence goes: cursor moves, titles, links
(OSC 8), clipboard writes (OSC 52), bidi controls. ``\\r`` overwrites its line as a terminal does.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

MAX_LINE = 4000  # characters, with all that is put to it; the rest of a longer line is dropped
CUT = " [line cut]"
MAX_PREFIX = 200
TAIL = 25

_GAP = re.compile(r"Missing here: ([0-9]{1,15}) lines, [0-9]+ bytes\. The log was too long\.")
_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # OSC … BEL or ST
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)"  # DCS, SOS, PM, APC
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[ -/]*[0-~]?"  # anything else that begins with ESC
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u200e\u200f\u061c\u2028-\u202e\u2066-\u2069"
    "\ud800-\udfff]"  # halves of surrogate pairs have no UTF-8
)


def clean_line(raw: str, most: int = MAX_LINE) -> str:
    """One line as shown: colours kept, no other control character, at most ``most`` long."""
    line = raw.rstrip("\r")
    if "\r" in line:
        line = line.rpartition("\r")[2]
    cut = len(line) > most
    if cut:
        line = line[: most - len(CUT)]
    if "\x1b" in line:
        line = _ESCAPES.sub(lambda m: m[0] if _SGR.fullmatch(m[0]) else "", line)
    line = _CONTROLS.sub("", line)
    return line + CUT if cut else line


def plain(line: str) -> str:
    """The line without colours."""
    return _SGR.sub("", line)


def clean_text(text: str) -> str:
    """A message of several lines without colours or any other control character: what registries
    and programs in images say ends up in errors and system lines too."""
    return "\n".join(plain(clean_line(line)) for line in text.split("\n"))


def gap_line(data: Mapping[str, Any]) -> str:  # Any: JSON
    """What a log says where output is missing, from the data of a LOG_GAP."""
    return f"Missing here: {data['lines']} lines, {data['bytes']} bytes. The log was too long."


def lines_in_gap(line: str) -> int:
    """How many lines a line of a log stands for if it is a ``gap_line``, else 0."""
    match = _GAP.fullmatch(line)
    return int(match[1]) if match else 0


class LineSplitter:
    """Feeds whole, clean lines to ``sink`` and keeps the last ones for an error's text."""

    def __init__(self, sink: Callable[[Sequence[str]], None], prefix: str = "") -> None:
        self._sink = sink
        self._prefix = plain(clean_line(" ".join(prefix.split("\n"))))[:MAX_PREFIX]
        self._most = MAX_LINE - len(self._prefix)
        self._rest = ""
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._raw: deque[str] = deque(maxlen=TAIL)

    def feed(self, text: str) -> None:
        *whole, rest = (self._rest + text).split("\n")
        # An endless line without a newline must not grow in memory.
        self._rest = rest[-MAX_LINE:] if "\r" in rest else rest[: MAX_LINE + 1]
        if whole:
            self._hand_over(whole)

    def close(self) -> None:
        if self._rest:
            self._hand_over([self._rest])
            self._rest = ""

    def tail(self, lines: int = 10) -> str:
        """The last lines without colours, for a message."""
        return "\n".join(plain(line) for line in list(self._tail)[-lines:])

    def evidence(self) -> str:
        """The last lines as they were printed, but for colours: a carriage return tells of a file
        with Windows line ends. For looking at, not for showing."""
        return "\n".join(plain(line) for line in self._raw)

    def _hand_over(self, raw: list[str]) -> None:
        self._raw.extend(line[:MAX_LINE] for line in raw[-TAIL:])
        lines = [self._prefix + clean_line(line, self._most) for line in raw]
        self._tail.extend(line for line in lines if line.strip())
        self._sink(lines)
