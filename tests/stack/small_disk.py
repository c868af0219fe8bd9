"""A file system of a few kilobytes or megabytes that a test can fill and free."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CHUNK = 65536


class SmallDisk:
    """A tmpfs; ``fill`` leaves nothing, ``free`` gives all of it back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filling = path / "filling"

    def fill(self, *, leave: int = 0) -> None:
        """All but about ``leave`` bytes are taken, rounded up to a page."""
        with self._filling.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(_CHUNK)):
                    pass
            except OSError:
                pass
            if leave:
                size = os.fstat(file.fileno()).st_size
                file.truncate(max(0, size - leave))

    def free(self) -> None:
        self._filling.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """``size`` as mount takes it: 256k, 60m."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a process of the test that is slow to end must not keep the mount.
        subprocess.run(["umount", "-l", str(folder)], check=True)
