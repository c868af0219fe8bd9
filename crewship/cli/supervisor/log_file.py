"""A log file that is bounded while it is written, and whose disk may be full."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LogBounds:
    """How much of one process's log is kept."""

    file_bytes: int = 10_000_000
    files: int = 5  # the one that is written included


class LogFile:
    """Bytes appended to ``path``. A file of ``file_bytes`` becomes ``<name>.1``, the one before
    that ``<name>.2`` and so on; what is older than ``files`` is gone.

    No method raises an OSError: ``trouble`` says why the last write failed, "" when it did not.
    """

    def __init__(self, path: Path, bounds: LogBounds) -> None:
        self.path = path
        self.trouble = ""
        self.line_is_open = False  # the last byte that was written ends no line
        self._bounds = bounds
        self._file: FileIO | None = None
        self._size = 0

    def append(self, data: bytes) -> bytes:
        """What of the data could not be written; empty when all of it is in the file."""
        self.trouble = ""
        try:
            self._open()
            while data:
                data = data[self._write_some(data) :]
        except OSError as err:
            self.trouble = err.strerror or str(err)
        return data

    def append_whole(self, data: bytes) -> bool:
        """All of it is in the file, or nothing."""
        before, was_open = self._size, self.line_is_open
        if not (rest := self.append(data)):
            return True
        if self._file is not None and len(rest) < len(data):
            try:
                self._file.truncate(before)
            except OSError as err:
                self.trouble = err.strerror or str(err)
            else:
                self._size, self.line_is_open = before, was_open
        return False

    def look(self) -> None:
        """Somebody who needs room may have removed or emptied the file: the next write goes to a
        file that has a name, and its size is counted anew."""
        if self._file is None:
            return
        try:
            found = os.fstat(self._file.fileno())
        except OSError:
            self.close()
            return
        self._size = found.st_size
        if not found.st_nlink:
            self.close()

    def close(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as err:  # some file systems say only here that the disk is full
            self.trouble = err.strerror or str(err)

    def _write_some(self, data: bytes) -> int:
        file = self._open()  # closed by a rotation
        room = self._bounds.file_bytes - self._size
        if len(data) > room and self._size:
            # A line stays in one file, unless it never ends.
            end = data.find(b"\n", 0, max(room, 65536)) + 1 if self.line_is_open else 0
            if not end:
                self._rotate()
                return 0
            data = data[:end]
        written = file.write(data) or 0
        self._size += written
        if written:
            self.line_is_open = data[written - 1 : written] != b"\n"
        return written

    def _open(self) -> FileIO:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = FileIO(self.path, "a")
            self._size = os.fstat(self._file.fileno()).st_size
            self.line_is_open = False
            self._forget_old()
        return self._file

    def _rotate(self) -> None:
        self.close()
        if self._bounds.files < 2:
            self.path.unlink(missing_ok=True)
        for number in range(self._bounds.files - 1, 0, -1):
            newer = self._numbered(number - 1)
            if newer.exists():
                newer.replace(self._numbered(number))
        self.line_is_open = False

    def _forget_old(self) -> None:
        """Files from a time when more were kept."""
        for path in self.path.parent.glob(f"{self.path.name}.*"):
            number = path.name.rpartition(".")[2]
            if number.isdecimal() and int(number) >= self._bounds.files:
                path.unlink(missing_ok=True)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path
