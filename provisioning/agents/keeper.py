"""Agents on one host become what is wanted of them: started, stopped, started again.

Requests write wishes (``asked``), this compares them with what the engine has, acts in threads
(one action an agent at a time), and writes down what became of it. Everything it needs to know
after a restart of its own is in the database and on the engine: running containers are adopted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Final

from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.db.models import F, Q

from cache.upkeep import Kind, Outage, Upkeep
from crewship.crews.models import Agent, AgentStatus
from crewship.domain.errors import EngineError
from crewship.engine.base import Engine
from crewship.engine.running import ContainerState
from provisioning.agents.actions import AgentActions
from provisioning.agents.backoff import Backoff
from provisioning.agents.host_rows import orphaned_containers

log = logging.getLogger(__name__)

PREFIX: Final = "crewship-"
TICK_S: Final = 0.25  # how soon a wish, or an event of the engine, is acted on
LOOK_S: Final = 5.0  # without any event: engines may drop some
TIDY_S: Final = 0.5  # how soon what deleted agents left is looked for
WAIT_S: Final = 1.0  # between two looks for an image, or for an engine that was away

# What is looked at four times a second: no env, no text of a crew.
COLUMNS: Final = (
    "crew_id", "name", "status", "wants_running", "asked", "done", "container_id", "live_image_id",
)  # fmt: skip

Action = Callable[[Agent, ContainerState | None], bool]


class AgentKeeper:
    """``run`` until its event is set; ``wake`` from any thread when the engine tells something."""

    def __init__(
        self,
        engine: Engine,
        host_name: str,
        actions: AgentActions,
        pool: Executor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._host_name = host_name
        self._actions = actions
        self._pool = pool
        self._clock = clock
        self._changed = threading.Event()
        self._busy: dict[str, Future[bool]] = {}
        self._removing: dict[int, Future[bool]] = {}  # by the pk of an orphan's row
        self._tidying: Future[bool] | None = None
        self._seen: dict[str, ContainerState] = {}  # by container name and by id
        self._not_before: dict[str, float] = {}  # agents whose action could not be done yet
        self._backoff = Backoff(clock)
        self._at_work = threading.Lock()
        self._outage = Outage(log)
        self._upkeep: Upkeep | None = None
        self._look_at = 0.0
        self._tidy_at = 0.0

    def wake(self) -> None:
        self._changed.set()

    def run(self, ended: threading.Event) -> None:
        with self._at_work:  # a former thread may still wait for an engine that hung
            while not ended.is_set():
                self._tick_or_wait(ended)
                ended.wait(TICK_S)
            close_old_connections()

    def _tick_or_wait(self, ended: threading.Event) -> None:
        try:
            self.tick()
        except (EngineError, DatabaseError) as err:
            self._outage.began(f"agents are not looked after: {err}")
        except Exception as err:  # a bug must not end the looking after all agents
            log.exception("agents are not looked after")
            self._outage.began(f"agents are not looked after: {err}")
        else:
            self._outage.over("agents are looked after again")
            return
        close_old_connections()
        self._look_at = 0.0
        ended.wait(WAIT_S)

    def tick(self) -> None:
        """One look at wishes and containers; whatever differs is being acted on afterwards."""
        # In this order: an agent is judged by a look that began after its last action ended.
        self._collect()
        self._look()
        agents = Agent.objects.filter(host_name=self._host_name).exclude(
            Q(wants_running=False, status=AgentStatus.STOPPED, asked=F("done"))
        )
        with self._settling as upkeep:
            for agent in agents.only(*COLUMNS):
                if upkeep.is_due(agent.pk) and agent.pk not in self._busy:
                    upkeep.attempt(agent.pk, partial(self._settle, agent))
        if self._clock() >= self._tidy_at:
            self._tidy_at = self._clock() + TIDY_S
            self._tidy()

    @property
    def _settling(self) -> Upkeep:
        """Of one agent each; the host is in the database once this is asked for."""
        if self._upkeep is None:
            self._upkeep = Upkeep(Kind.AGENT, self._actions.host(), self._engine)
        return self._upkeep

    # -- what is
    def _collect(self) -> None:
        for agent_id, future in list(self._busy.items()):
            if not future.done():
                continue
            del self._busy[agent_id]
            self._look_at = 0.0
            if future.exception() is None and future.result():
                self._not_before.pop(agent_id, None)
                self._backoff.started(agent_id)
            else:
                self._not_before[agent_id] = self._clock() + WAIT_S

    def _look(self) -> None:
        if not self._changed.is_set() and self._clock() < self._look_at:
            return
        self._changed.clear()
        states = self._engine.containers(PREFIX)
        self._seen = {key: state for state in states for key in (state.name, state.container_id)}
        self._look_at = self._clock() + LOOK_S

    # -- what to do
    def _settle(self, agent: Agent) -> None:
        state = self._actions.own_container(agent, self._seen)
        if agent.asked != agent.done:
            self._act(self._actions.carry_out, agent, state)
        elif not agent.wants_running:
            self._act(self._actions.stop, agent, state)
        elif agent.status == AgentStatus.FAILED:
            pass  # until it is asked for again
        elif state is not None and state.running:
            self._actions.note_running(agent, state)
        elif agent.status == AgentStatus.EXITED:
            if self._backoff.is_due(agent.pk):
                self._act(self._actions.start_again, agent, state)
        else:
            delay_s = self._backoff.ended(agent.pk)
            self._actions.note_end(agent, state, delay_s)

    def _act(self, action: Action, agent: Agent, state: ContainerState | None) -> None:
        if self._clock() >= self._not_before.get(agent.pk, 0.0):
            self._busy[agent.pk] = self._pool.submit(action, agent, state)

    def _tidy(self) -> None:
        """What deleted agents and crews left goes; in threads, since an engine takes its time."""
        self._removing = {pk: future for pk, future in self._removing.items() if not future.done()}
        with Upkeep(Kind.AGENT_CONTAINER, self._actions.host()) as upkeep:
            for row in orphaned_containers(self._host_name):
                due = upkeep.is_due(row.name)
                if due and row.agent_id not in self._busy and row.pk not in self._removing:
                    self._removing[row.pk] = self._pool.submit(
                        self._actions.remove_orphan, row, self._seen.get(row.name)
                    )
                    self._not_before.pop(row.agent_id, None)
                    self._backoff.forget(row.agent_id)
        if self._tidying is None or self._tidying.done():
            self._tidying = self._pool.submit(self._actions.tidy_up)
