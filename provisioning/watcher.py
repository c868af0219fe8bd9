"""The one process beside each Docker host: heartbeat, image presence, removals, sweeps, agents.

Web processes hold no engine socket; what they know of the host is what this writes. Each duty has
a thread of its own: a slow or failing one holds up no other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from cache.gc import A_QUARTER
from cache.hosts import HostNameTaken, beat, note_disks, note_sweep, register_host
from cache.models import DockerHost
from cache.presence import reconcile
from cache.services import carry_out_removals
from cache.upkeep import Kind, Outage, Upkeep, forget_duties
from crewship.domain.errors import EngineError, EngineUnreachable
from crewship.engine.base import Engine
from crewship.engine.disk import disk_space, engine_disk
from crewship.settings.options import BUILD_NETWORK
from crewship.web.database import close_connection
from crewship.web.news import HEALTH, announce
from provisioning.agents.actions import AgentActions
from provisioning.agents.agent_logs import AgentLogs
from provisioning.agents.keeper import PREFIX, AgentKeeper
from provisioning.sweep import sweep_host
from provisioning.sweep_cache import sweep_cache

log = logging.getLogger(__name__)

BEAT_S = 1.0
TICK_S = 0.25  # how soon a removal is seen, and an event acted on
RECONCILE_S = 10.0  # without any event: engines may drop some
SWEEP_S = 2.0
DISKS_S = 10.0  # how old what health says of the disks may be
NETWORK_S = 30.0
JOIN_S = 5.0  # for all threads together; one that hangs in the engine ends by itself
AGENTS_AT_ONCE = 64  # most of them only wait until an agent has ended


@dataclass
class Duty:
    """Work that is done again and again, at once when ``wake`` is set."""

    name: str
    every_s: float
    work: Callable[[DockerHost], object]
    wake: Event = field(default_factory=Event)
    # A former thread of it may still wait for an engine that hung.
    at_work: threading.Lock = field(default_factory=threading.Lock)


class HostWatcher:
    """Runs until ``stop`` is set. An engine that goes away stops the heartbeat, and with it new
    provisions; it goes on by itself when the engine is back."""

    def __init__(self, engine: Engine, stop: Event) -> None:
        self._engine = engine
        self._stop = stop
        host_name = settings.CREWSHIP.host_name
        self._pool = ThreadPoolExecutor(AGENTS_AT_ONCE, thread_name_prefix="agent")
        self._logs = AgentLogs(engine)
        actions = AgentActions(engine, host_name, self._logs)
        self._keeper = AgentKeeper(engine, host_name, actions, self._pool)
        self._presence = Duty("list images", RECONCILE_S, partial(reconcile, engine))
        self._duties = [
            self._presence,
            Duty("remove images", TICK_S, self._remove_images),
            Duty("remove what jobs left", SWEEP_S, partial(sweep_host, engine)),
            Duty("collect unused images", settings.CREWSHIP.gc.interval_s, self._collect),
            Duty("look at disks", DISKS_S, self._look_at_disks),
            Duty("keep build network", NETWORK_S, self._keep_build_network),
        ]
        self._host_trouble = Outage(log)  # engine, name or database, in the main thread
        self._budget = Outage(log)
        self._database = Outage(log)  # in the duties' threads

    def run(self) -> None:
        try:
            self._run()
        finally:
            # What is under way ends by itself; running agents run on and are adopted later.
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                host = self._register()
                self._host_trouble.over("the host is watched")
                self._follow(host)
            except HostNameTaken as err:
                self._host_trouble.began(f"{err.message} {err.error_hint}")
            except EngineError as err:
                self._host_trouble.began(f"the engine does not answer: {err}")
            except DatabaseError as err:
                self._host_trouble.began(f"the database does not answer: {err}")
                close_connection()
            self._stop.wait(BEAT_S)

    def _register(self) -> DockerHost:
        try:
            self._keep_build_network()  # before a build needs it
        except EngineUnreachable:
            raise
        except EngineError:
            pass  # the duty tries again and tells; images and agents do not need it
        host = register_host(settings.CREWSHIP.host_name, self._engine.info())
        announce(HEALTH)
        forget_duties(host, {duty.name for duty in self._duties})
        return host

    def _follow(self, host: DockerHost) -> None:
        """Until the engine is away, the host's name is another engine's, or the end."""
        ended = Event()
        self._presence.wake.set()
        threads = [
            Thread(target=self._events, args=(ended,), name="engine-events", daemon=True),
            Thread(target=self._keeper.run, args=(ended,), name="agent-keeper", daemon=True),
            Thread(target=self._logs.run, args=(ended,), name="agent-logs", daemon=True),
            *(
                Thread(target=self._repeat, args=(duty, host, ended), name=duty.name, daemon=True)
                for duty in self._duties
            ),
        ]
        for thread in threads:
            thread.start()
        try:
            self._heartbeat(host)
        finally:
            ended.set()
            give_up = time.monotonic() + JOIN_S
            for thread in threads:
                thread.join(timeout=max(0.0, give_up - time.monotonic()))

    def _heartbeat(self, host: DockerHost) -> None:
        """Nothing else is done in this thread: a slow listing must not look like a lost host. The
        engine is asked as well, so that a hung engine does. Raises EngineError when it is away."""
        while not self._stop.wait(BEAT_S):
            self._engine.ping()
            try:
                if not beat(host.pk, host.engine_id):
                    return  # the row is gone, or another engine's: to be registered again
                self._host_trouble.over("the database answers again")
            except DatabaseError as err:
                self._host_trouble.began(f"no heartbeat, the database does not answer: {err}")
                close_connection()

    def _repeat(self, duty: Duty, host: DockerHost, ended: Event) -> None:
        with duty.at_work:
            upkeep = Upkeep(Kind.DUTY, host, self._engine)
            due = 0.0
            try:
                while not ended.is_set():
                    if duty.wake.is_set() or time.monotonic() >= due:
                        duty.wake.clear()
                        done = self._do(duty, host, upkeep)
                        due = time.monotonic() + (duty.every_s if done else BEAT_S)
                    ended.wait(TICK_S)
            finally:
                connection.close()

    def _do(self, duty: Duty, host: DockerHost, upkeep: Upkeep) -> bool:
        """Whether it was done; what keeps it from being done keeps no other."""
        try:
            done = upkeep.attempt(duty.name, partial(duty.work, host))
        except EngineError:
            return False  # away: the heartbeat sees that too, and tells
        except DatabaseError as err:
            self._database.began(f"{duty.name}: the database does not answer: {err}")
            close_connection()
            return False
        self._database.over(f"{duty.name}: the database answers again")
        return done

    # -- duties
    def _remove_images(self, host: DockerHost) -> None:
        if carry_out_removals(self._engine, host):
            self._presence.wake.set()

    def _collect(self, host: DockerHost) -> None:
        autodelete = settings.CREWSHIP.gc.autodelete
        report = sweep_cache(self._engine, host, remove=autodelete, share=A_QUARTER)
        if report.items:
            done = "removed" if report.removed else "could be removed (AUTODELETE is off)"
            names = ", ".join(item.tag for item in report.items)
            freed = report.freed_bytes / 1e6
            log.info("cache sweep: %d %s, %.0f MB: %s", len(report.items), done, freed, names)
        if report.over_budget:
            left = (report.used_bytes - report.freed_bytes * report.removed) / 1e6
            self._budget.began(f"cache: {left:.0f} MB of ours, over CREWSHIP_CACHE_HIGH_WATER")
        else:
            self._budget.over("cache: within its budget again")
        note_sweep(host.pk)

    def _look_at_disks(self, host: DockerHost) -> None:
        try:
            data = disk_space(settings.CREWSHIP.data_dir)
        except OSError:  # health says that it can't be seen
            data = None
        engine = engine_disk(self._engine.info(), settings.CREWSHIP.engine_disk)
        note_disks(host.pk, data, engine)

    def _keep_build_network(self, _host: DockerHost | None = None) -> None:
        if settings.CREWSHIP.build_network == BUILD_NETWORK:
            self._engine.create_build_network(BUILD_NETWORK)

    def _events(self, ended: Event) -> None:
        while not ended.is_set():
            try:
                for event in self._engine.events(ended):
                    if event.kind == "image":
                        self._presence.wake.set()
                    elif event.name.startswith(PREFIX):
                        self._keeper.wake()
            except EngineError as err:
                log.warning("the event stream ended: %s", err)
                ended.wait(BEAT_S)
            except Exception:  # an event that can't be read: without a stream all is seen later
                log.exception("the event stream broke")
                ended.wait(BEAT_S)
