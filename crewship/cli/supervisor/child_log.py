"""Where a child's lines go: to its file, to the screen, and the last few into memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from crewship.cli.supervisor.log_file import LogBounds, LogFile
from crewship.cli.supervisor.output import Screen

LONGEST_LINE = 64_000  # bytes; a longer one is shown in pieces
RETRY_S = 5.0  # between two tries to write to a file that could not be written
TAIL_LINES = 20
_TAIL_LINE = 2_000  # characters


class ChildLog:
    """A child's lines: whole in its file, and on the screen unless ``quiet``.

    A file that can't be written (the disk is full) costs its lines, never the child: they are
    counted, and how many were not written is said when it can be written again.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        screen: Screen,
        *,
        quiet: bool = False,
        bounds: LogBounds | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._screen = screen
        self._quiet = quiet
        self._clock = clock
        self._rest = b""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._file = LogFile(directory / f"{name}.log", bounds or LogBounds())
        self._trouble = ""  # why lines are dropped; "" while they are written
        self._dropped = 0  # lines
        self._dropping_in_line = False  # the first part of a line was dropped, its end is to come
        self._look_at = self._clock() + RETRY_S
        self._keep(b"")

    @property
    def path(self) -> Path:
        return self._file.path

    def feed(self, data: bytes) -> None:
        """Bytes as they come from the child; a line is shown when it is complete."""
        self._keep(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._show(line)
        if len(self._rest) > LONGEST_LINE:
            self._show(self._rest)
            self._rest = b""

    def look(self) -> None:
        """To be called now and then: tries again to write where that failed."""
        if self._clock() < self._look_at:
            return
        self._look_at = self._clock() + RETRY_S
        self._file.look()
        if self._trouble:
            self._resume()

    def end_line(self) -> None:
        """The child has ended: what it wrote last is a line."""
        if self._rest:
            self._show(self._rest)
            self._rest = b""
        if self._file.line_is_open and not self._trouble:
            self._keep(b"\n")
        self._dropping_in_line = False

    def begin(self) -> None:
        """A new process: ``tail`` is about this one only."""
        self._tail.clear()

    def close(self) -> None:
        self.end_line()
        if self._trouble:
            self._resume()
        self._file.close()

    def tail(self) -> list[str]:
        """The last lines since ``begin``."""
        return list(self._tail)

    def _keep(self, data: bytes) -> None:
        if self._trouble:
            self._drop(data)
            return
        if self._dropping_in_line and data:
            _, end, data = data.partition(b"\n")
            self._dropping_in_line = not end
        rest = self._file.append(data)
        if self._file.trouble:
            self._trouble = self._file.trouble
            self._say(
                f"{self.path.name} can't be written ({self._trouble}); its lines are dropped "
                "until it can"
            )
            self._look_at = self._clock() + RETRY_S
            self._drop(rest)

    def _drop(self, data: bytes) -> None:
        self._dropped += data.count(b"\n")
        if data:
            self._dropping_in_line = not data.endswith(b"\n")

    def _resume(self) -> None:
        """The file has a line that says what is missing, or nothing has changed."""
        count = self._dropped + self._dropping_in_line
        lines = f"{count} line{'' if count == 1 else 's'}"
        verb = "was" if count == 1 else "were"
        note = f"crewship: {lines} {verb} not written here ({self._trouble})\n".encode()
        if not self._file.append_whole(b"\n" * self._file.line_is_open + note):
            return
        self._say(f"{lines} of {self.path.name} {verb} not written ({self._trouble})")
        self._trouble = ""
        self._dropped = 0

    def _show(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self._tail.append(text[:_TAIL_LINE])
        if not self._quiet:
            self._screen.line(self._name, text)

    def _say(self, text: str) -> None:
        self._screen.line("crewship", text)
