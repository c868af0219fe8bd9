"""Whether the data directory can be written, said in one sentence when it can't."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from crewship.domain.errors import DataDirUnusable, DataDiskFull

# Bytes that must be free: what the first second of a start writes (database, its log, Redis).
ROOM: Final = 4_000_000
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})  # a full disk, a quota that is used up
_FULL_TEXTS: Final = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "disk is full")


@contextlib.contextmanager
def writing_in(directory: Path) -> Iterator[None]:
    """An OSError of the block becomes DataDirUnusable, or DataDiskFull."""
    try:
        yield
    except OSError as err:
        if is_full(err):
            raise disk_full(directory) from err
        raise DataDirUnusable(f"{directory} can't be used: {err.strerror or err}") from err


def is_full(error: OSError) -> bool:
    return error.errno in _FULL


def disk_full(directory: Path) -> DataDiskFull:
    return DataDiskFull(f"the disk of {directory} is full")


def says_disk_full(text: str) -> bool:
    """Whether a program's last words are that a disk is full."""
    return any(words in text for words in _FULL_TEXTS)


def check_room(directory: Path) -> None:
    """There is room in the (existing) directory for a start. Raises DataDirUnusable,
    DataDiskFull."""
    probe = directory / f".room.{os.getpid()}"
    with writing_in(directory):
        try:
            # Written, not looked up: quotas and reserved blocks are in no statistics.
            with probe.open("wb", buffering=0) as file:
                left = ROOM
                while left > 0:
                    left -= file.write(bytes(min(left, 65536)))
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
