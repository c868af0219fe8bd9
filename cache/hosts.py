"""Docker hosts: registering, heartbeats, and whether one can be worked with now."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now

from cache.models import DockerHost
from crewship.domain.errors import Unavailable
from crewship.engine.base import EngineInfo
from crewship.engine.disk import DiskSpace

HEARTBEAT_LOST_AFTER = timedelta(seconds=5)


class NoDockerHost(Unavailable):
    code = "no_docker_host"
    hint = "Start `crewship start` on a machine with a Docker engine."


class DockerHostLost(Unavailable):
    code = "docker_host_lost"
    hint = "Look after the host's engine and its `crewship start`; it comes back by itself."


def register_host(name: str, info: EngineInfo) -> DockerHost:
    """The host is in the database with what its engine says of itself, and is alive."""
    host, _ = DockerHost.objects.update_or_create(
        name=name,
        defaults={
            "engine_id": info.engine_id,
            "engine_version": info.version,
            "platform": info.platform,
            "heartbeat_at": Now(),
        },
    )
    return host


def beat(host_id: str) -> None:
    """The host was alive just now, by the database's clock."""
    DockerHost.objects.filter(pk=host_id).update(heartbeat_at=Now())


def is_alive(host_id: str) -> bool:
    """Whether the host was heard of within HEARTBEAT_LOST_AFTER, by the database's clock."""
    fresh = DockerHost.objects.filter(pk=host_id, heartbeat_at__gt=Now() - HEARTBEAT_LOST_AFTER)
    return fresh.exists()


def note_sweep(host_id: str) -> None:
    """The host's image cache was swept just now."""
    DockerHost.objects.filter(pk=host_id).update(last_sweep_at=Now())


def note_disks(host_id: str, data: DiskSpace | None, engine: DiskSpace | None) -> None:
    """The room on the disks of the data directory and of the engine, as it is now; None for one
    that can't be seen."""
    DockerHost.objects.filter(pk=host_id).update(
        disk_seen_at=Now(),
        data_free_bytes=data.free_bytes if data else None,
        data_total_bytes=data.total_bytes if data else None,
        engine_free_bytes=engine.free_bytes if engine else None,
        engine_total_bytes=engine.total_bytes if engine else None,
    )


def healthy_host() -> DockerHost:
    """The host that provisions; from its recorded heartbeat, no engine is asked.

    One host serves all crews until crews can choose. Raises NoDockerHost, DockerHostLost.
    """
    alive = DockerHost.objects.filter(heartbeat_at__gt=Now() - HEARTBEAT_LOST_AFTER)
    host = alive.order_by("created_at").first()
    if host is not None:
        return host
    known = DockerHost.objects.order_by("created_at").first()
    if known is None:
        raise NoDockerHost("No Docker host is registered.")
    raise DockerHostLost(f"The Docker host {known.name} has not been heard of for 5 s.")
