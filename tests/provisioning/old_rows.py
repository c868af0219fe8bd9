"""Rows that are older than they are kept, beside their like that stay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from crewship.crews.models import Crew
from provisioning.models import JobEvent, ProvisionJob
from provisioning.states import EventKind, JobState
from tests.conftest import JobMaker


def days_ago(days: float) -> Any:
    return timezone.now() - timedelta(days=days)


def old_job(
    make_job: JobMaker, crew: Crew, days: float, state: JobState = JobState.COMPLETED, **fields: Any
) -> ProvisionJob:
    """A job that ended that long ago, with a step, a layer and lines of every kind."""
    job = make_job(crew, state, finished_at=days_ago(days), last_seq=7, **fields)
    layer = {"kind": "base", "label": "base", "key": "k", "hit": False, "seconds": 1.0}
    events: list[tuple[EventKind, dict[str, Any]]] = [
        (EventKind.STATE, {"state": "running"}),
        (EventKind.STEP_STARTED, {"message": "begin"}),
        (EventKind.STEP_MESSAGE, {"message": "half-way"}),
        (EventKind.OUTPUT, {"lines": ["printed"]}),
        (EventKind.SYSTEM, {"text": "said"}),
        (EventKind.LAYER, layer),
        (EventKind.STATE, {"state": state}),
    ]
    JobEvent.objects.bulk_create(
        JobEvent(job=job, seq=seq, kind=kind, step=1, data=data)
        for seq, (kind, data) in enumerate(events, start=1)
    )
    return job


def events_of(job: ProvisionJob) -> list[str]:
    return list(job.events.order_by("seq").values_list("kind", flat=True))
