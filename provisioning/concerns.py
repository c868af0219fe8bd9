"""What is not as it should be, in one sentence each, with what to do about it.

``/readyz``, ``crewship doctor``, the dashboard's banner and the admin's page all say these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cache.hosts import DockerHostLost, NoDockerHost
from crewship.domain.durations import duration
from provisioning.health import (
    CatalogHealth,
    Health,
    HostHealth,
    QueueHealth,
    SchedulerHealth,
    UpkeepHealth,
    read_hosts,
)

CATALOG_OLD_AFTER: Final = timedelta(hours=18)  # two refreshes of every 6 h were missed
LONG_WAIT: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that is not as it should be. ``broken``: work stands still because of it; else it
    is a warning. ``since`` is when the thing was last heard of."""

    code: str
    about: str  # "host local", "scheduler": a few words
    broken: bool
    text: str
    hint: str
    since: datetime | None = None
    age_s: float | None = None

    def __str__(self) -> str:
        if self.age_s is None:
            return self.text
        return f"{self.text} It was last heard of {duration(self.age_s)} ago."


def concerns_of(health: Health) -> tuple[Concern, ...]:
    """The broken before the warnings."""
    return tuple(sorted(_concerns(health), key=lambda concern: not concern.broken))


def can_provision() -> bool:
    """Whether a job that is asked for now would run."""
    return what_stops_provisioning(read_hosts()) is None


def what_stops_provisioning(hosts: Sequence[HostHealth]) -> Concern | None:
    """None when a job that is asked for now would run."""
    if not hosts:
        text = "There is no Docker host yet."
        return Concern(NoDockerHost.code, "hosts", True, text, NoDockerHost.hint)
    if not any(host.is_alive for host in hosts):
        last = min(hosts, key=lambda host: (host.heartbeat_age_s is None, host.heartbeat_age_s))
        return _host_lost(last, broken=True)
    chosen = next(host for host in hosts if host.is_alive)  # as cache.hosts.healthy_host does
    return None if chosen.workers else _no_workers(chosen, broken=True)


def _concerns(health: Health) -> Iterator[Concern]:
    stopped = what_stops_provisioning(health.hosts)
    if stopped:
        yield stopped
    for host in health.hosts:
        concern = None
        if not host.is_alive:
            concern = _host_lost(host, broken=False)
        elif not host.workers:
            concern = _no_workers(host, broken=False)
        if concern and not (stopped and stopped.about == concern.about):
            yield concern
    for host in health.hosts:
        yield from _disk_concerns(host)
    yield from _scheduler_concerns(health.scheduler)
    yield from _queue_concerns(health.queue, stopped)
    for catalog in health.catalogs:
        yield from _catalog_concerns(catalog)
    if health.upkeep.failing:
        yield _upkeep_concern(health.upkeep)


def _host_lost(host: HostHealth, *, broken: bool) -> Concern:
    return Concern(
        DockerHostLost.code,
        f"host {host.name}",
        broken,
        f"The Docker host {host.name} does not answer.",
        DockerHostLost.hint,
        host.heartbeat_at,
        host.heartbeat_age_s,
    )


def _no_workers(host: HostHealth, *, broken: bool) -> Concern:
    return Concern(
        "no_workers",
        f"host {host.name}",
        broken,
        f"No worker runs on the Docker host {host.name}.",
        "`crewship start` runs them; their logs are logs/worker-*.log in the data directory.",
    )


def _disk_concerns(host: HostHealth) -> Iterator[Concern]:
    for disk in host.disks:
        if disk.is_low:
            yield Concern(
                "disk_low",
                f"disk of {host.name}",
                disk.is_full,
                f"The {disk.name} disk of {host.name} has {disk.free_bytes / 1e9:.1f} GB free.",
                "Free space: `crewship cache gc`, docker system df.",
            )


def _scheduler_concerns(scheduler: SchedulerHealth) -> Iterator[Concern]:
    if not scheduler.is_alive:
        yield Concern(
            "scheduler_lost",
            "scheduler",
            True,
            "The scheduler does not run: jobs of lost workers wait, nothing is pruned.",
            "`crewship start` runs it; its log is logs/scheduler.log in the data directory.",
            scheduler.heartbeat_at,
            scheduler.heartbeat_age_s,
        )


def _queue_concerns(queue: QueueHealth, stopped: Concern | None) -> Iterator[Concern]:
    waits = queue.oldest_wait_s or 0.0
    if stopped is None and waits > LONG_WAIT.total_seconds():
        yield Concern(
            "long_queue",
            "queue",
            False,
            f"{queue.pending} jobs wait, the oldest for {duration(waits)}.",
            "More run at once with `crewship start --workers N`, where the machine has room.",
        )


def _catalog_concerns(catalog: CatalogHealth) -> Iterator[Concern]:
    age = catalog.fetched_age_s
    if age is not None and age < CATALOG_OLD_AFTER.total_seconds():
        return
    state = "was never fetched" if age is None else f"is {duration(age)} old"
    yield Concern(
        "catalog_old",
        f"catalog of {catalog.kind}s",
        False,
        f"The catalog of {catalog.kind}s {state}.",
        "Bundled entries are always there; `manage.py refresh_catalogs` tries now.",
    )


def _upkeep_concern(upkeep: UpkeepHealth) -> Concern:
    things = "1 thing" if upkeep.failing == 1 else f"{upkeep.failing} things"
    return Concern(
        "upkeep_failing",
        "upkeep",
        False,
        f"{things} can't be removed or settled, for {duration(upkeep.oldest_age_s or 0)} by now.",
        "Each is tried again by itself; the admin lists them as upkeep problems, with the reason.",
    )
