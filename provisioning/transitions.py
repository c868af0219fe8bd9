"""The one writer of a job's state, and of the events beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from crewship.domain.errors import Conflict
from crewship.web.news import announce
from provisioning.models import JobEvent, ProvisionJob
from provisioning.states import NEXT, EventKind, JobState

Event = tuple[EventKind, int, Mapping[str, Any]]  # kind, step, data (Any: JSON)


class StaleJobState(Conflict):
    """The job is not where the writer thought; nothing was changed."""

    code = "stale_job_state"


@transaction.atomic
def advance(
    job: ProvisionJob,
    to: JobState,
    *,
    guard: int | None = None,
    data: Mapping[str, Any] | None = None,  # Any: JSON
    **fields: Any,  # Any: columns that change with the state
) -> ProvisionJob:
    """The job moved one edge along NEXT and the fact is recorded, or StaleJobState and nothing.

    With ``guard`` only the worker that claimed the job under that fence may move it. ``fields`` are
    written in the same statement.
    """
    sources = [state for state, targets in NEXT.items() if to in targets]
    rows = ProvisionJob.objects.filter(pk=job.pk, state__in=sources)
    if guard is not None:
        rows = rows.filter(fence=guard)
    if not rows.update(state=to, last_seq=F("last_seq") + 1, **fields):
        raise StaleJobState(f"The job {job.pk} can't become {to} any more.")
    job.refresh_from_db()
    JobEvent.objects.create(
        job=job,
        seq=job.last_seq,
        kind=EventKind.STATE,
        step=job.step,
        data={"state": to, **(data or {})},
    )
    announce(f"crew:{job.crew_id}", f"workspace:{job.workspace_id}")
    return job


@transaction.atomic
def record(
    job_id: str,
    events: Sequence[Event],
    *,
    guard: int | None = None,
    **fields: Any,  # Any: columns of the job
) -> bool:
    """The events follow the job's last one, without gaps, and ``fields`` are written with them.

    With ``guard``: False and nothing written when the job is no more this worker's.
    """
    return append(job_id, events, guard=guard, **fields) is not None


def append(
    job_id: str,
    events: Sequence[Event],
    *,
    guard: int | None = None,
    **fields: Any,  # Any: columns of the job
) -> int | None:
    """Like ``record``, in the caller's transaction. The seq of the job's last event, None where
    ``record`` says False."""
    rows = ProvisionJob.objects.filter(pk=job_id)
    if guard is not None:
        rows = rows.filter(fence=guard, state=JobState.RUNNING)
    if not rows.update(last_seq=F("last_seq") + len(events), **fields):
        return None
    columns = ProvisionJob.objects.values_list("last_seq", "crew_id", "workspace_id")
    last, crew_id, workspace_id = columns.get(pk=job_id)
    at = timezone.now()
    JobEvent.objects.bulk_create(
        JobEvent(job_id=job_id, seq=seq, kind=kind, step=step, data=dict(data), at=at)
        for seq, (kind, step, data) in enumerate(events, start=last - len(events) + 1)
    )
    announce(f"crew:{crew_id}", *([f"workspace:{workspace_id}"] if fields else []))
    return int(last)
