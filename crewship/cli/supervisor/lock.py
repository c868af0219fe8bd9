"""One ``crewship start`` per data directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from crewship.domain.data_dir import writing_in
from crewship.domain.errors import DataDirInUse

LOCK = "start.lock"


def owner_of(data_dir: Path) -> int | None:
    """The process id of the ``crewship start`` that runs on the directory; None if none does.

    The lock itself is not tried: whoever holds it for a moment keeps a start from getting it.
    """
    try:
        owner = int((data_dir / LOCK).read_text())
        os.kill(owner, 0)
        command = Path(f"/proc/{owner}/cmdline").read_bytes()
    except PermissionError:
        return owner  # somebody else's process
    except (OSError, ValueError):
        return None
    return owner if b"crewship" in command else None  # else the id was given again


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """The directory exists and is this process's until the block ends; DataDirInUse otherwise,
    DataDirUnusable.

    The kernel gives the lock back however the process ends; children do not inherit it.
    """
    with writing_in(data_dir):
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            owner = os.read(descriptor, 32).decode(errors="replace").strip()
            process = f" (process {owner})" if owner else ""
            raise DataDirInUse(f"crewship is already running on {data_dir}{process}") from err
        with contextlib.suppress(OSError):  # for owner_of and people; a full disk has no room
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
