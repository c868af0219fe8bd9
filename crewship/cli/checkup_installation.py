"""What ``crewship doctor`` says of the running installation: its web process by a request, hosts,
workers, scheduler and queue by what they wrote into the database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections

from cache.hosts import HostNameTaken, is_taken
from crewship.cli.finding import Finding
from crewship.cli.marks import BROKEN, OK, WARNING
from crewship.cli.start import read_web_address
from crewship.cli.supervisor.lock import owner_of
from crewship.cli.supervisor.services import Bind, is_healthy, probe_header
from crewship.domain.durations import duration
from crewship.engine.base import EngineInfo
from crewship.settings.options import Options
from provisioning.concerns import Concern, concerns_of
from provisioning.health import Health, HostHealth, installation_health

START = "Run `crewship start` on this data directory."


def installation(options: Options) -> Iterable[Finding]:
    """One finding where nothing runs here, else one for each part."""
    runs = owner_of(options.data_dir) is not None
    if not runs and options.redis_is_embedded:
        yield Finding("processes", WARNING, "`crewship start` is not running here", START)
        return
    if runs:
        yield web(options.data_dir, os.environ)
    if not _database_is_there():
        yield Finding("database", WARNING, "it is not there yet", START)
        return
    try:
        health = installation_health()
    except DatabaseError as error:
        text = f"can't be read: {str(error).splitlines()[0]}"
        yield Finding("database", BROKEN, text, "Start it, or correct CREWSHIP_DATABASE_URL.")
        return
    finally:
        connections.close_all()  # this thread's
    yield Finding("database", OK, "answers")
    yield from of_health(health, options.host_name)


def host_name(options: Options, info: EngineInfo) -> Iterator[Finding]:
    """One finding where another machine on this database has this one's CREWSHIP_HOST."""
    if not _database_is_there():
        return
    try:
        taken = is_taken(options.host_name, info)
    except DatabaseError:
        return  # ``installation`` says so
    finally:
        connections.close_all()  # this thread's
    if taken:
        text = f"{options.host_name} is the name of another Docker engine's host that runs now"
        yield Finding("host name", BROKEN, text, HostNameTaken.hint)


def web(data_dir: Path, environ: Mapping[str, str]) -> Finding:
    """Whether the web process of the ``crewship start`` that runs here serves requests."""
    url = read_web_address(data_dir)
    hint = "Its log says more: logs/web.log in the data directory."
    if url is None:
        return Finding("web", WARNING, "has not come up yet", hint)
    bind = Bind.parse(url.removeprefix("http://"))
    if is_healthy(bind, probe_header(bind, environ)):
        return Finding("web", OK, f"answers at {url}")
    return Finding("web", BROKEN, f"does not answer at {url}", hint)


def of_health(health: Health, this_host: str) -> Iterator[Finding]:
    """``this_host``: whose disks are looked at directly, and not told again."""
    told = [concern for concern in concerns_of(health) if not _is_of_disk_here(concern, this_host)]
    for host in health.hosts:
        if host.is_alive and host.workers:
            yield Finding(f"host {host.name}", OK, _host_text(host))
    if health.scheduler.is_alive:
        yield Finding("scheduler", OK, f"last heard of {_ago(health.scheduler.heartbeat_age_s)}")
    waits = health.queue.oldest_wait_s
    queue = f"{health.queue.pending} waiting, {health.queue.running} running"
    oldest = f", the oldest waits for {duration(waits)}" if waits is not None else ""
    yield Finding("queue", OK, queue + oldest)
    for concern in told:
        mark = BROKEN if concern.broken else WARNING
        yield Finding(concern.about, mark, str(concern), concern.hint)


def _is_of_disk_here(concern: Concern, this_host: str) -> bool:
    return concern.code == "disk_low" and concern.about == f"disk of {this_host}"


def _host_text(host: HostHealth) -> str:
    swept = host.last_sweep_age_s
    busy = sum(worker.job_id is not None for worker in host.workers)
    parts = [
        f"engine {host.engine_version}",
        f"last heard of {_ago(host.heartbeat_age_s)}",
        f"{len(host.workers)} worker{'' if len(host.workers) == 1 else 's'}, {busy} busy",
        f"cache swept {_ago(swept)}" if swept is not None else "cache not swept yet",
    ]
    return ", ".join(parts)


def _ago(seconds: float | None) -> str:
    return "never" if seconds is None else f"{duration(seconds)} ago"


def _database_is_there() -> bool:
    """Connecting to SQLite would make the file."""
    database = settings.DATABASES["default"]
    return not database["ENGINE"].endswith("sqlite3") or Path(database["NAME"]).exists()
