"""The words for a job's life, and the edges along which it may move."""

from __future__ import annotations

from django.db import models


class JobState(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = frozenset({JobState.PENDING, JobState.RUNNING})

# running -> pending: its worker is stopping or gone, and the layers make another try cheap.
NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.PENDING: frozenset(
        {JobState.RUNNING, JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.RUNNING: frozenset(
        {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.PENDING}
    ),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class ProvisionStatus(models.TextChoices):
    """A crew's state as clients see it (CONTRACT.md): a cancelled job shows as idle/completed."""

    IDLE = "idle"
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class EventKind(models.TextChoices):
    """Kinds of job events: stable for ever, clients branch on them."""

    STATE = "job.state"
    STEP_STARTED = "step.started"
    STEP_MESSAGE = "step.message"  # what the step does now; replaces the message before
    STEP_DONE = "step.done"
    STEP_FAILED = "step.failed"
    SYSTEM = "log.system"  # a line of ours
    OUTPUT = "log.output"  # lines that a script printed, in chunks
    LAYER = "layer"  # one layer: hit or built, with its key
    CACHE_HIT = "cache.hit"  # the whole image was there
    LOG_GAP = "log_gap"  # output before it that is not kept: {bytes, lines}


LOG_KINDS = (EventKind.SYSTEM, EventKind.OUTPUT, EventKind.LOG_GAP)
