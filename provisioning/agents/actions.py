"""What the keeper does for one agent: start, stop, start again; each in a thread of its own.

An action gets the row as its need was seen and reads it whole; once somebody asked again, that is
another need. It answers whether it is done: False means that the engine, the database or an image
was not there, and that it is tried again soon.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, transaction
from django.db.models import F
from django.utils import timezone

from cache.models import CachedImage, DockerHost
from cache.upkeep import Kind, Outage, attempt
from crewship.crews.models import Agent, AgentStatus
from crewship.crews.secrets import unseal
from crewship.crews.services import crew_spec
from crewship.devcontainer.types import RuntimeSettings
from crewship.domain.errors import (
    Conflict,
    CrewshipError,
    EngineError,
    EngineUnreachable,
    ImageNotFound,
)
from crewship.engine.base import Engine
from crewship.engine.running import ContainerState
from provisioning.agents.agent_image import image_for, known_image, refuse_if_none_comes
from provisioning.agents.agent_logs import AgentLogs
from provisioning.agents.agent_plan import AgentPlan, ImageFacts, container_name, plan_agent
from provisioning.agents.engine_texts import without_host_paths
from provisioning.agents.host_rows import (
    containers_of,
    ensure_network,
    note_plan,
    remove_given_up_volumes,
    remove_unused_networks,
)
from provisioning.agents.launch import launch
from provisioning.models import AgentContainer
from provisioning.pipeline.output import clean_text

log = logging.getLogger(__name__)

STARTS_AT_ONCE: Final = 8  # more would only wait for the engine
TRIES: Final = 3  # of what somebody else's doing on the host may have spoiled
MAX_ERROR: Final = 2000  # characters
NOTHING: Final = {"container_id": "", "live_image_id": ""}

Seen = Mapping[str, ContainerState]  # by container name and by id


class AgentActions:
    """For one host. Methods are called from several threads, for different agents each."""

    def __init__(self, engine: Engine, host_name: str, logs: AgentLogs) -> None:
        self._engine = engine
        self._host_name = host_name
        self._logs = logs
        self._network = threading.Lock()
        self._starts = threading.BoundedSemaphore(STARTS_AT_ONCE)
        # What runs now, so that an agent that ended starts again as it was, whatever was edited.
        self._plans: dict[str, AgentPlan] = {}
        self._outage = Outage(log)

    # -- what is
    def own_container(self, agent: Agent, seen: Seen) -> ContainerState | None:
        """By its id first: a renamed agent keeps its container until it is started anew."""
        return seen.get(agent.container_id) or seen.get(container_name(agent.crew_id, agent.name))

    def note_running(self, agent: Agent, state: ContainerState) -> None:
        """The row says that it runs, and on what; its output is followed."""
        if not self._logs.follows(agent.pk, state.container_id):
            since = self._logs.resume_point(agent.pk)
            self._logs.follow(agent.pk, state.container_id, since)
        now = (AgentStatus.RUNNING, state.container_id, state.image_id)
        if (agent.status, agent.container_id, agent.live_image_id) != now:
            self._write(
                agent,
                AgentStatus.RUNNING,
                container_id=state.container_id,
                live_image_id=state.image_id,
            )

    def note_end(self, agent: Agent, state: ContainerState | None, again_in_s: float) -> None:
        """The row says that it ended although it is meant to run."""
        code = state.exit_code if state else None
        how = f"ended with exit code {code}" if code is not None else "is gone"
        self._logs.say(agent.pk, f"the agent {how}; it is started again in {again_in_s:g} s")
        self._write(agent, AgentStatus.EXITED, exit_code=code, live_image_id="")

    # -- actions
    def carry_out(self, agent: Agent, state: ContainerState | None) -> bool:
        """The wish that the row holds is fulfilled, or failed for a reason that the row names."""

        def work(agent: Agent) -> bool:
            return self._start(agent, state) if agent.wants_running else self._stop(agent)

        return self._guarded(agent, work)

    def stop(self, agent: Agent, state: ContainerState | None) -> bool:
        return self._guarded(agent, self._stop)

    def start_again(self, agent: Agent, state: ContainerState | None) -> bool:
        """One that ended runs again, as it was started the last time."""
        return self._guarded(agent, lambda agent: self._start_again(agent, state))

    def remove_orphan(self, row: AgentContainer, state: ContainerState | None) -> bool:
        """The container of an agent that is gone is gone as well. By its id where it was seen:
        a new agent may have the name by now."""
        container = state.container_id if state else row.name

        def remove() -> None:
            self._end_container(row.agent_id, container)
            AgentContainer.objects.filter(pk=row.pk, agent_id=row.agent_id).delete()

        try:
            return attempt(Kind.AGENT_CONTAINER, row.name, remove, self.host(), self._engine)
        except (EngineError, DatabaseError) as err:
            self._outage.began(f"{row.name} can't be removed yet: {err}")
            return False
        finally:
            self._plans.pop(row.agent_id, None)
            close_old_connections()

    def tidy_up(self) -> bool:
        """Networks and volumes that nobody needs any more are gone."""
        try:
            with self._network:
                remove_unused_networks(self._engine, self.host())
            remove_given_up_volumes(self._engine, self.host())
        except (EngineError, DatabaseError) as err:
            self._outage.began(f"networks and volumes are not tidied up: {err}")
            return False
        finally:
            close_old_connections()
        self._outage.over("networks and volumes are tidied up again")
        return True

    def host(self) -> DockerHost:
        """As the watcher registered it. Raises DockerHost.DoesNotExist before it did."""
        return DockerHost.objects.get(name=self._host_name)

    # -- start
    def _start(self, agent: Agent, state: ContainerState | None) -> bool:
        record = image_for(self._host_name, agent, state)
        if record is None:
            refuse_if_none_comes(agent.crew)
            return False
        plan = self._plan(agent, record)
        self._end(agent, keep=plan.spec.name)
        container = self._launch(agent, plan)
        self._finish(
            agent,
            AgentStatus.RUNNING,
            container_id=container,
            live_image_id=plan.spec.image,
            started_at=timezone.now(),
            restarts=0,  # what was asked for is no restart after an end
            error="",
        )
        return True

    def _start_again(self, agent: Agent, state: ContainerState | None) -> bool:
        self._logs.drain(agent.pk)
        plan = self._plans.get(agent.pk)
        try:
            plan = plan or self._plan(agent, known_image(self._host_name, agent, state))
            container = self._launch(agent, plan)
        except ImageNotFound:  # removed since it ended: the crew's current one has to do
            plan = self._plan(agent, known_image(self._host_name, agent, None))
            container = self._launch(agent, plan)
        self._write(
            agent,
            AgentStatus.RUNNING,
            container_id=container,
            live_image_id=plan.spec.image,
            started_at=timezone.now(),
            restarts=F("restarts") + 1,
        )
        return True

    def _plan(self, agent: Agent, record: CachedImage) -> AgentPlan:
        image = self._engine.image(record.image_id)
        if image is None:
            raise ImageNotFound("The crew's image is not on the host.", hint="Provision the crew.")
        options = settings.CREWSHIP
        spec = crew_spec(agent.crew)
        return plan_agent(
            agent,
            spec.runtime if spec else RuntimeSettings(),
            ImageFacts.of(record, image.config.env, options.policy),
            unseal(agent),
            options.agents,
        )

    def _launch(self, agent: Agent, plan: AgentPlan) -> str:
        # From here on the image is in use: no sweep may take it away.
        self._write(agent, AgentStatus(agent.status), live_image_id=plan.spec.image)
        note_plan(self._host_name, plan)
        # A container of the agent's held the very same volumes until now: they are its own.
        held = self._plans.get(agent.pk)
        hand_over = held is None or held.spec.volumes != plan.spec.volumes
        with self._starts:
            container = self._try(lambda: self._launch_once(plan, hand_over=hand_over))
        self._plans[agent.pk] = plan
        self._logs.follow(agent.pk, container)
        return container

    def _launch_once(self, plan: AgentPlan, *, hand_over: bool) -> str:
        pool = settings.CREWSHIP.agents.subnets
        with self._network:
            ensure_network(self._engine, self._host_name, plan.crew_id, pool)
        return launch(self._engine, plan, hand_over=hand_over)

    def _try(self, work: Callable[[], str]) -> str:
        for _ in range(TRIES - 1):
            try:
                return work()
            except EngineUnreachable:
                raise
            except (EngineError, Conflict) as err:
                log.warning("trying again: %s", err)
        return work()

    # -- end
    def _stop(self, agent: Agent) -> bool:
        self._end(agent)
        self._plans.pop(agent.pk, None)
        self._finish(agent, AgentStatus.STOPPED, error="", **NOTHING)
        return True

    def _end(self, agent: Agent, keep: str = "") -> None:
        """None of the agent's containers is left; ``keep``: the name stays in our records."""
        for row in containers_of(self._host_name, agent.pk):
            self._end_container(agent.pk, row.name)
            if row.name != keep:
                row.delete()

    def _end_container(self, agent_id: str, container: str) -> None:
        self._engine.stop_container(container, settings.CREWSHIP.agents.grace_s)
        self._logs.drain(agent_id)
        self._engine.remove_container(container)

    # -- what became of it
    def _guarded(self, seen: Agent, work: Callable[[Agent], bool]) -> bool:
        agent = seen
        try:
            whole = Agent.objects.select_related("crew__workspace")
            found = whole.filter(pk=seen.pk, asked=seen.asked).first()
            if found is None:  # deleted, or asked for something else
                return True
            agent = found
            try:
                return work(agent)
            except EngineUnreachable as err:
                log.warning("%s: %s", agent.pk, err)
                return False
            except CrewshipError as err:
                self._fail(agent, err)
            except DatabaseError:
                raise
            except Exception:  # a thread's boundary: the wish must not be tried for ever
                log.exception("%s: unexpected error", agent.pk)
                self._fail(agent, CrewshipError("Something went wrong on our side."))
        except (DatabaseError, EngineError) as err:
            log.warning("%s: what became of it is not written yet: %s", agent.pk, err)
            return False
        finally:
            close_old_connections()
        return True

    def _fail(self, agent: Agent, error: CrewshipError) -> None:
        self._end(agent)
        self._plans.pop(agent.pk, None)
        log.warning("%s could not be started: %s", agent.pk, error.message)
        text = clean_text(f"{without_host_paths(error.message)} {error.error_hint}".strip())
        text = text[:MAX_ERROR]
        self._logs.say(agent.pk, f"the agent could not be started: {text}")
        self._finish(agent, AgentStatus.FAILED, error=text, **NOTHING)

    def _finish(self, agent: Agent, status: AgentStatus, **facts: Any) -> None:  # Any: columns
        """As ``_write``, and the wish that the row held is done."""
        self._write(agent, status, done=agent.asked, **facts)

    @transaction.atomic
    def _write(self, agent: Agent, status: AgentStatus, **facts: Any) -> None:  # Any: columns
        """What is, is in the row. Its status is another wish's once somebody asked again."""
        Agent.objects.filter(pk=agent.pk).update(**facts)
        Agent.objects.filter(pk=agent.pk, asked=agent.asked).update(status=status)
