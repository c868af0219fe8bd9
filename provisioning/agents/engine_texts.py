"""What an engine says of a container that did not start, for readers who are not its operators."""

from __future__ import annotations

import re
from typing import Final

SHOWN: Final = "\N{HORIZONTAL ELLIPSIS}"
_PART: Final = r"[^\s\"'`:,;()<>\[\]]*"
# Below a data root or a run directory of the usual engines, or in a layer or container of one that
# was moved elsewhere.
_USUAL: Final = rf"/(?:var/lib|run|var/run)/(?:docker|containerd|containers)/{_PART}"
_MOVED: Final = (
    rf"/{_PART}/(?:overlay2?|vfs|btrfs|zfs|aufs|containers|volumes)/[0-9a-f]{{12,64}}{_PART}"
)
_HOST_PATH: Final = re.compile(f"{_USUAL}|{_MOVED}")
MAX_TEXT: Final = 4000  # characters; looking costs their square


def without_host_paths(text: str) -> str:
    """The engine's sentence with an ellipsis for every path below its root: those tell how the
    host is laid out, and help nobody who writes a crew. At most MAX_TEXT characters of it."""
    return _HOST_PATH.sub(SHOWN, text[:MAX_TEXT])
