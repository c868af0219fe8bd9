"""The processes that run provision jobs: each writes down that it lives, everybody can ask."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Now

from provisioning.models import ProvisionJob, WorkerProcess
from provisioning.states import JobState

BEAT_S = 5.0  # how often a worker says that it lives
LOST_AFTER = timedelta(seconds=20)  # one that was silent for longer counts as gone
FORGOTTEN_AFTER = timedelta(hours=1)  # then its row is removed


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker process of a host; ``job_id`` is the job that it runs now, None while it waits."""

    name: str
    host_name: str
    machine: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    job_id: str | None


def beat(name: str, host_name: str) -> None:
    """This process is in the database as a live worker of the host, by the database's clock."""
    living = WorkerProcess.objects.filter(pk=name).update(heartbeat_at=Now())
    if not living:
        WorkerProcess.objects.create(
            name=name,
            host_name=host_name,
            machine=socket.gethostname(),
            pid=os.getpid(),
            heartbeat_at=Now(),
        )


def end(name: str) -> None:
    """The worker is no more in the database."""
    WorkerProcess.objects.filter(pk=name).delete()


def live_workers(host_name: str | None = None) -> list[LiveWorker]:
    """The workers of the host (of all hosts without one) that were heard of within LOST_AFTER,
    the oldest first, in one query."""
    running = ProvisionJob.objects.filter(worker=OuterRef("name"), state=JobState.RUNNING)
    rows = WorkerProcess.objects.filter(heartbeat_at__gt=Now() - LOST_AFTER)
    if host_name is not None:
        rows = rows.filter(host_name=host_name)
    job = Subquery(running.order_by("-started_at").values("pk")[:1])
    columns = ("name", "host_name", "machine", "pid", "started_at", "heartbeat_at", "job_id")
    listed = rows.annotate(job_id=job).order_by("started_at", "name").values_list(*columns)
    return [LiveWorker(*row) for row in listed]


def forget_dead_workers() -> None:
    """Rows of processes that ended without a word are gone: at most an hour's worth stays."""
    WorkerProcess.objects.filter(heartbeat_at__lt=Now() - FORGOTTEN_AFTER).delete()
