"""How the installation is, from the database alone: hosts, workers, scheduler, queue, disks,
sweeps, catalogs, upkeep.

Whoever knows a thing writes it down (a host's watcher, each worker, the scheduler); here it is
read, and ``concerns.py`` says what of it is not as it should be. Ages are by the database's
clock, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count
from django.db.models.functions import Now

from cache.hosts import HEARTBEAT_LOST_AFTER
from cache.models import DockerHost, UpkeepProblem
from catalogs.models import CatalogKind, CatalogState
from provisioning.models import ProvisionJob, SchedulerState
from provisioning.states import ACTIVE, JobState
from provisioning.worker_processes import LiveWorker, live_workers

SCHEDULER_LOST_AFTER: Final = timedelta(seconds=15)  # it beats every 3 s
LEAST_FREE: Final = 2_000_000_000  # bytes: an image of a few features
USUAL_FREE: Final = 10_000_000_000
LEAST_SHARE: Final = 0.05  # of a small disk, where that is less than the above
USUAL_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Disk:
    name: str  # "data": of the data directory; "engine": of the engine's images
    free_bytes: int
    total_bytes: int

    @property
    def is_low(self) -> bool:
        return self.free_bytes < min(USUAL_FREE, self.total_bytes * USUAL_SHARE)

    @property
    def is_full(self) -> bool:
        return self.free_bytes < min(LEAST_FREE, self.total_bytes * LEAST_SHARE)


@dataclass(frozen=True, slots=True)
class HostHealth:
    """A Docker host. Null: never, or not known."""

    name: str
    is_alive: bool
    heartbeat_at: datetime | None
    heartbeat_age_s: float | None
    engine_version: str
    disks: tuple[Disk, ...]
    disk_age_s: float | None
    last_sweep_age_s: float | None
    workers: tuple[LiveWorker, ...]  # that live


@dataclass(frozen=True, slots=True)
class SchedulerHealth:
    is_alive: bool
    heartbeat_at: datetime | None
    heartbeat_age_s: float | None


@dataclass(frozen=True, slots=True)
class QueueHealth:
    pending: int
    running: int
    oldest_wait_s: float | None  # since the oldest pending job was asked for


@dataclass(frozen=True, slots=True)
class CatalogHealth:
    kind: str
    fetched_age_s: float | None
    error: str


@dataclass(frozen=True, slots=True)
class UpkeepHealth:
    """Things that could not be removed or settled, and are tried again (``cache/upkeep.py``)."""

    failing: int
    oldest_age_s: float | None  # since the one that has failed for longest failed first


@dataclass(frozen=True, slots=True)
class Health:
    hosts: tuple[HostHealth, ...]
    scheduler: SchedulerHealth
    queue: QueueHealth
    catalogs: tuple[CatalogHealth, ...]
    upkeep: UpkeepHealth


def installation_health() -> Health:
    """Raises DatabaseError."""
    return Health(read_hosts(), _scheduler(), _queue(), _catalogs(), _upkeep())


def read_hosts() -> tuple[HostHealth, ...]:
    """All Docker hosts, the oldest first."""
    workers: dict[str, list[LiveWorker]] = {}
    for worker in live_workers():
        workers.setdefault(worker.host_name, []).append(worker)
    rows = DockerHost.objects.annotate(database_now=Now()).order_by("created_at")
    return tuple(_host(row, row.database_now, tuple(workers.get(row.name, ()))) for row in rows)


def _host(row: DockerHost, now: datetime, workers: tuple[LiveWorker, ...]) -> HostHealth:
    age = _age(row.heartbeat_at, now)
    disks = (
        ("data", row.data_free_bytes, row.data_total_bytes),
        ("engine", row.engine_free_bytes, row.engine_total_bytes),
    )
    return HostHealth(
        name=row.name,
        is_alive=age is not None and age < HEARTBEAT_LOST_AFTER.total_seconds(),
        heartbeat_at=row.heartbeat_at,
        heartbeat_age_s=age,
        engine_version=row.engine_version,
        disks=tuple(
            Disk(name, free, total)
            for name, free, total in disks
            if free is not None and total is not None
        ),
        disk_age_s=_age(row.disk_seen_at, now),
        last_sweep_age_s=_age(row.last_sweep_at, now),
        workers=workers,
    )


def _scheduler() -> SchedulerHealth:
    row = SchedulerState.objects.annotate(database_now=Now()).first()
    if row is None:
        return SchedulerHealth(False, None, None)
    age = _age(row.heartbeat_at, row.database_now)
    alive = age is not None and age < SCHEDULER_LOST_AFTER.total_seconds()
    return SchedulerHealth(alive, row.heartbeat_at, age)


def _queue() -> QueueHealth:
    active = ProvisionJob.objects.filter(state__in=ACTIVE).order_by()
    count = dict(active.values_list("state").annotate(Count("pk")))
    pending = active.filter(state=JobState.PENDING).annotate(database_now=Now())
    oldest = pending.order_by("created_at").values_list("created_at", "database_now").first()
    return QueueHealth(
        pending=count.get(JobState.PENDING, 0),
        running=count.get(JobState.RUNNING, 0),
        oldest_wait_s=_age(*oldest) if oldest else None,
    )


def _catalogs() -> tuple[CatalogHealth, ...]:
    rows = {row.kind: row for row in CatalogState.objects.annotate(database_now=Now())}
    found = []
    for kind in CatalogKind:
        row = rows.get(kind)
        age = _age(row.fetched_at, row.database_now) if row else None
        found.append(CatalogHealth(kind.value, age, row.error if row else ""))
    return tuple(found)


def _upkeep() -> UpkeepHealth:
    failing = UpkeepProblem.objects.annotate(database_now=Now()).order_by("first_at")
    oldest = failing.values_list("first_at", "database_now").first()
    return UpkeepHealth(failing.count(), _age(*oldest) if oldest else None)


def _age(then: datetime | None, now: datetime) -> float | None:
    return None if then is None else max(0.0, (now - then).total_seconds())
