"""Named places in a job's life where a test can hold a process, to kill or stop it just there.

Inert unless ``CREWSHIP_FAULT_DIR`` names a directory when the process starts, which only whoever
starts the processes can do; a deployment check warns of it. Nothing that a user sends reaches it.

A test arms a point by making the file ``<point>.armed`` there. The first process that comes to the
point renames it to ``<point>.reached`` with its process id in it and waits until that file is
gone. The chaos suite (tests/chaos) then sends the signal from outside.
"""

from __future__ import annotations

import os
import time
from enum import StrEnum
from pathlib import Path

VARIABLE = "CREWSHIP_FAULT_DIR"
LONGEST_S = 600.0  # a test that died holds nobody for ever
_LOOK_S = 0.05
_given = os.environ.get(VARIABLE, "")
_directory = Path(_given) if _given else None


class FaultPoint(StrEnum):
    BEFORE_CONTAINER_CREATE = "before-container-create"
    AFTER_CONTAINER_CREATE = "after-container-create"
    BEFORE_COMMIT = "before-commit"
    AFTER_COMMIT = "after-commit"
    BEFORE_LAYER_ROW = "before-layer-row"
    AFTER_LAYER_ROW = "after-layer-row"
    BEFORE_TAG = "before-tag"
    AFTER_TAG = "after-tag"
    BEFORE_CREW_LINK = "before-crew-link"
    AFTER_CREW_LINK = "after-crew-link"
    BEFORE_JOB_COMPLETION = "before-job-completion"
    AFTER_JOB_COMPLETION = "after-job-completion"


def fault_point(point: FaultPoint, directory: Path | None = _directory) -> None:
    """Returns at once, except where a test armed the point: then when the test lets it go on."""
    if directory is None:
        return
    reached = directory / f"{point}.reached"
    try:
        (directory / f"{point}.armed").rename(reached)  # of two processes one succeeds
    except OSError:
        return
    reached.write_text(str(os.getpid()))
    limit = time.monotonic() + LONGEST_S
    while reached.exists() and time.monotonic() < limit:
        time.sleep(_LOOK_S)
