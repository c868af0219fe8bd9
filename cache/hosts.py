"""Docker hosts: registering, heartbeats, and whether one can be worked with now."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from cache.models import DockerHost
from crewship.domain.errors import Conflict, Unavailable
from crewship.engine.base import EngineInfo
from crewship.engine.disk import DiskSpace

HEARTBEAT_LOST_AFTER = timedelta(seconds=5)


class NoDockerHost(Unavailable):
    code = "no_docker_host"
    hint = "Start `crewship start` on a machine with a Docker engine."


class DockerHostLost(Unavailable):
    code = "docker_host_lost"
    hint = "Look after the host's engine and its `crewship start`; it comes back by itself."


class HostNameTaken(Conflict):
    """Two machines on one database have the same CREWSHIP_HOST."""

    code = "host_name_taken"
    hint = "Give each machine a CREWSHIP_HOST of its own and start it again."


def register_host(name: str, info: EngineInfo) -> DockerHost:
    """The host is in the database with what its engine says of itself, and is alive.

    Raises HostNameTaken, and changes nothing, while another engine beats under the name; one that
    has been silent for HEARTBEAT_LOST_AFTER is followed by this one.
    """
    facts = _facts(info)
    DockerHost.objects.get_or_create(name=name, defaults=facts)
    # In one statement: of two that register at once one is refused.
    free = Q(engine_id__in=["", info.engine_id]) | ~Q(heartbeat_at__gt=Now() - HEARTBEAT_LOST_AFTER)
    if not DockerHost.objects.filter(free, name=name).update(**facts, heartbeat_at=Now()):
        raise _taken(name)
    return DockerHost.objects.get(name=name)


def host_of_engine(name: str, info: EngineInfo) -> DockerHost:
    """The host for a command that is run by hand beside its engine: this is no heartbeat.

    Raises HostNameTaken when the name is another engine's, alive or not: what our records say
    of that one must not be looked for on this one.
    """
    facts = _facts(info)
    host, _ = DockerHost.objects.get_or_create(name=name, defaults=facts)
    if host.engine_id not in ("", info.engine_id):
        raise _taken(name)
    return host


def _facts(info: EngineInfo) -> dict[str, str]:
    """What the row says of the engine, by column."""
    return {
        "engine_id": info.engine_id,
        "engine_version": info.version,
        "platform": info.platform,
    }


def is_taken(name: str, info: EngineInfo) -> bool:
    """Whether another engine beats under the name now. Changes nothing."""
    others = DockerHost.objects.exclude(engine_id__in=["", info.engine_id])
    return others.filter(name=name, heartbeat_at__gt=Now() - HEARTBEAT_LOST_AFTER).exists()


def _taken(name: str) -> HostNameTaken:
    return HostNameTaken(f"The host name {name} is another Docker engine's in this database.")


def beat(host_id: str, engine_id: str) -> bool:
    """The host was alive just now, by the database's clock; False when it is not the engine's
    any more: removed, or another engine took the name while this one was silent."""
    ours = DockerHost.objects.filter(pk=host_id, engine_id=engine_id)
    return bool(ours.update(heartbeat_at=Now()))


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
