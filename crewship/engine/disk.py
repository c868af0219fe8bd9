"""Where an engine keeps its images, and how much room is there, if that is on this machine.

The engine's API tells a path but no free space, so only a disk that this process sees can be
looked at. Pure but for ``statvfs``; nothing here talks to the engine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crewship.engine.base import EngineInfo

CONTAINERD_ROOT: Final = "/var/lib/containerd"
# Names of containerd's snapshotters: an engine with one of them keeps images below containerd's
# root and only the rest below its own.
CONTAINERD_STORES: Final = frozenset({"overlayfs", "native", "stargz"})
FLOOR_SHARE: Final = 0.05  # of the disk


@dataclass(frozen=True, slots=True)
class DiskSpace:
    root: str  # the directory that was looked at
    total_bytes: int
    free_bytes: int  # for everybody, as df says; root may write a little more

    def floor_bytes(self, most: int) -> int:
        """The least that builds leave free: ``most`` bytes, on a small disk 5 % of it instead."""
        return min(most, int(self.total_bytes * FLOOR_SHARE))


def disk_space(root: Path) -> DiskSpace:
    """The disk that ``root`` is on. Raises OSError."""
    found = os.statvfs(root)
    return DiskSpace(str(root), found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def engine_disk(info: EngineInfo, given: str = "") -> DiskSpace | None:
    """The disk that has the engine's images; None where this machine does not see it.

    ``given`` is where an operator says that it is (a mount of it, when this runs in a container).
    Where images and containers are on two disks, the one with less room.
    """
    if given:
        roots = [given]
    elif info.on_this_machine and info.data_root:
        roots = [info.data_root]
        if info.storage_driver in CONTAINERD_STORES:
            roots.append(CONTAINERD_ROOT)
    else:
        return None
    seen = [space for root in roots if (space := _look(Path(root)))]
    return min(seen, key=lambda space: space.free_bytes, default=None)


def _look(root: Path) -> DiskSpace | None:
    try:
        return disk_space(root) if root.is_dir() else None
    except OSError:  # a folder on the way is closed to us, or the disk went away
        return None
