"""The one process beside each Docker host: heartbeat, image presence, removals, sweeps, agents.

Web processes hold no engine socket; what they know of the host is what this writes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from cache.gc import sweep
from cache.hosts import beat, note_disks, note_sweep, register_host
from cache.models import DockerHost
from cache.presence import reconcile
from cache.services import carry_out_removals
from crewship.domain.errors import EngineError
from crewship.engine.base import Engine
from crewship.engine.disk import disk_space, engine_disk
from crewship.settings.options import BUILD_NETWORK
from crewship.web.database import close_connection
from crewship.web.news import HEALTH, announce
from provisioning.agents.actions import AgentActions
from provisioning.agents.agent_logs import AgentLogs
from provisioning.agents.keeper import PREFIX, AgentKeeper
from provisioning.sweep import sweep_host

log = logging.getLogger(__name__)

BEAT_S = 1.0
TICK_S = 0.25  # how soon a removal is seen, and an event acted on
RECONCILE_S = 10.0  # without any event: engines may drop some
SWEEP_S = 2.0
DISKS_S = 10.0  # how old what health says of the disks may be
AGENTS_AT_ONCE = 64  # most of them only wait until an agent has ended


class HostWatcher:
    """Runs until ``stop`` is set. An engine that goes away stops the heartbeat, and with it new
    provisions; it goes on by itself when the engine is back."""

    def __init__(self, engine: Engine, stop: Event) -> None:
        self._engine = engine
        self._stop = stop
        self._changed = Event()
        self._alive = Event()  # the engine answered lately
        host_name = settings.CREWSHIP.host_name
        self._pool = ThreadPoolExecutor(AGENTS_AT_ONCE, thread_name_prefix="agent")
        self._logs = AgentLogs(engine)
        actions = AgentActions(engine, host_name, self._logs)
        self._keeper = AgentKeeper(engine, host_name, actions, self._pool)

    def run(self) -> None:
        try:
            self._run()
        finally:
            # What is under way ends by itself; running agents run on and are adopted later.
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if settings.CREWSHIP.build_network == BUILD_NETWORK:
                    self._engine.create_build_network(BUILD_NETWORK)  # before a build needs it
                host = register_host(settings.CREWSHIP.host_name, self._engine.info())
                announce(HEALTH)
                self._alive.set()
                self._follow(host)
            except EngineError as err:
                self._alive.clear()
                log.warning("the engine does not answer: %s", err)
                self._stop.wait(BEAT_S)
            except DatabaseError as err:
                log.warning("the database does not answer: %s", err)
                close_old_connections()
                self._stop.wait(BEAT_S)

    def _follow(self, host: DockerHost) -> None:
        """Raises EngineError when the engine goes away."""
        ended = Event()
        threads = [
            Thread(target=self._heartbeat, args=(host, ended), name="heartbeat", daemon=True),
            Thread(target=self._events, args=(ended,), name="engine-events", daemon=True),
            Thread(target=self._keeper.run, args=(ended,), name="agent-keeper", daemon=True),
            Thread(target=self._logs.run, args=(ended,), name="agent-logs", daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            self._work(host)
        finally:
            ended.set()
            for thread in threads:
                thread.join(timeout=5)

    def _work(self, host: DockerHost) -> None:
        chores: list[tuple[float, Callable[[], object]]] = [
            (RECONCILE_S, lambda: reconcile(self._engine, host)),
            (SWEEP_S, lambda: sweep_host(self._engine, host)),
            (DISKS_S, lambda: self._look_at_disks(host)),
            (settings.CREWSHIP.gc.interval_s, lambda: self._collect(host)),
        ]
        due = [0.0] * len(chores)
        while not self._stop.is_set():
            if self._changed.is_set():
                self._changed.clear()
                due[0] = 0.0
            for index, (every, chore) in enumerate(chores):
                if time.monotonic() >= due[index]:
                    chore()
                    due[index] = time.monotonic() + every
            if carry_out_removals(self._engine, host):
                due[0] = 0.0
            self._stop.wait(TICK_S)

    def _collect(self, host: DockerHost) -> None:
        report = sweep(self._engine, host, remove=settings.CREWSHIP.gc.autodelete)
        if report.items:
            done = "removed" if report.removed else "could be removed (AUTODELETE is off)"
            names = ", ".join(item.tag for item in report.items)
            log.info("cache sweep: %d %s: %s", len(report.items), done, names)
        note_sweep(host.pk)

    def _look_at_disks(self, host: DockerHost) -> None:
        try:
            data = disk_space(settings.CREWSHIP.data_dir)
        except OSError:  # health says that it can't be seen
            data = None
        engine = engine_disk(self._engine.info(), settings.CREWSHIP.engine_disk)
        note_disks(host.pk, data, engine)

    def _heartbeat(self, host: DockerHost, ended: Event) -> None:
        """In a thread of its own: a slow listing must not look like a lost host. The engine is
        asked as well, so that a hung engine does."""
        try:
            while not ended.wait(BEAT_S):
                try:
                    self._engine.info()
                    beat(host.pk)
                except (EngineError, DatabaseError) as err:
                    log.warning("no heartbeat: %s", err)
                    close_connection()
        finally:
            connection.close()

    def _events(self, ended: Event) -> None:
        while not ended.is_set():
            try:
                for event in self._engine.events(ended):
                    if event.kind == "image":
                        self._changed.set()
                    elif event.name.startswith(PREFIX):
                        self._keeper.wake()
            except EngineError as err:
                log.warning("the event stream ended: %s", err)
                ended.wait(BEAT_S)
