"""What a job did, read from its events: steps with durations, layers, and the log in portions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from provisioning.models import JobEvent, ProvisionJob
from provisioning.pipeline.execute import LABELS
from provisioning.reading import walk, wire_size
from provisioning.states import ACTIVE, EventKind, JobState

PORTION_EVENTS: Final = 500
PORTION_BYTES: Final = 1024 * 1024  # of a portion as it is sent
ENVELOPE_BYTES: Final = 300  # of an event as it is sent, beside its data
SHOWN_IN_LOG: Final = (
    EventKind.SYSTEM,
    EventKind.OUTPUT,
    EventKind.LOG_GAP,
    EventKind.STEP_STARTED,
    EventKind.STEP_FAILED,
    EventKind.CACHE_HIT,
    EventKind.STATE,
)
_OF_STEPS: Final = (
    EventKind.STATE,
    EventKind.STEP_STARTED,
    EventKind.STEP_DONE,
    EventKind.STEP_FAILED,
    EventKind.LAYER,
)


@dataclass(frozen=True, slots=True)
class LayerLine:
    kind: str
    label: str
    key: str
    hit: bool
    seconds: float


@dataclass(slots=True)
class StepLine:
    """One row of the checklist. ``phase`` is waiting, running, done, failed or stopped."""

    number: int
    label: str
    phase: str = "waiting"
    message: str = ""
    started_at: datetime | None = None
    seconds: float | None = None
    layers: list[LayerLine] = field(default_factory=list)

    @property
    def cached(self) -> int:
        return sum(layer.hit for layer in self.layers)


def checklist(job: ProvisionJob | None) -> list[StepLine]:
    """All six steps; of a job that began again (its worker was lost), the last attempt's."""
    steps = [StepLine(number, label) for number, label in enumerate(LABELS, start=1)]
    if job is None:
        return steps
    events = JobEvent.objects.filter(job=job, kind__in=_OF_STEPS).order_by("seq")
    for event in events:
        if event.kind == EventKind.STATE:
            if event.data.get("state") in ACTIVE:  # claimed, or given back: from the start
                steps = [StepLine(n, label) for n, label in enumerate(LABELS, start=1)]
        elif 1 <= event.step <= len(steps):
            _apply(steps[event.step - 1], event)
    if job.cache_hit:
        for step in steps:
            step.phase = "done"
    elif job.state == JobState.RUNNING and 1 <= job.step <= len(steps):
        steps[job.step - 1].message = job.message or steps[job.step - 1].message
    elif job.state not in ACTIVE:
        for step in steps:
            if step.phase == "running":
                step.phase = "failed" if job.state == JobState.FAILED else "stopped"
    return steps


def _apply(step: StepLine, event: JobEvent) -> None:
    if event.kind == EventKind.STEP_STARTED:
        step.phase, step.started_at = "running", event.at
        step.message = str(event.data.get("message", ""))
    elif event.kind == EventKind.LAYER:
        data = event.data
        step.layers.append(
            LayerLine(data["kind"], data["label"], data["key"], data["hit"], data["seconds"])
        )
    else:
        step.phase = "done" if event.kind == EventKind.STEP_DONE else "failed"
        if step.started_at:
            step.seconds = (event.at - step.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class LogPortion:
    """Events in order; ``earlier`` says whether some come before the first."""

    events: Sequence[JobEvent]
    earlier: bool

    @property
    def first(self) -> int:
        return self.events[0].seq if self.events else 0


def log_before(job: ProvisionJob, before: int | None, lines: int) -> LogPortion:
    """The last events before that ``seq`` (None: the end) that have at least ``lines`` lines, or
    all there are; fewer where these are more than a portion's bytes."""
    rows = JobEvent.objects.filter(job=job, kind__in=SHOWN_IN_LOG)
    if before is not None:
        rows = rows.filter(seq__lt=before)
    found: list[JobEvent] = []
    count = total = 0
    for event in walk(rows, newest_first=True):
        total += wire_size(event) + ENVELOPE_BYTES
        if count >= lines or (found and total > PORTION_BYTES):
            return LogPortion(found[::-1], earlier=True)
        found.append(event)
        count += len(event.data["lines"]) if event.kind == EventKind.OUTPUT else 1
    return LogPortion(found[::-1], earlier=False)


def events_from(job_id: str, seq: int) -> tuple[list[JobEvent], bool]:
    """The events after ``seq``, as many as are a portion, and whether there were more."""
    found: list[JobEvent] = []
    total = 0
    for event in walk(JobEvent.objects.filter(job_id=job_id, seq__gt=seq)):
        total += wire_size(event) + ENVELOPE_BYTES
        if len(found) >= PORTION_EVENTS or (found and total > PORTION_BYTES):
            return found, True
        found.append(event)
    return found, False


def event_json(event: JobEvent) -> dict[str, Any]:  # Any: JSON
    """The shape that the crew's event stream sends."""
    return {
        "job_id": event.job_id,
        "seq": event.seq,
        "kind": event.kind,
        "step": event.step,
        "at": event.at,
        "data": event.data,
    }


def seconds_of(job: ProvisionJob) -> float | None:
    """How long the job ran, or has been running."""
    if job.started_at is None:
        return None
    return ((job.finished_at or timezone.now()) - job.started_at).total_seconds()
