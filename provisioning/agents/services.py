"""The verbs of agents: start, restart, stop, restart all. Used by API, dashboard, admin and CLI.

Web processes hold no engine socket: these write what is wanted, and the host's watcher does it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import transaction

from cache.hosts import healthy_host
from crewship.crews.agents import lock_agent
from crewship.crews.models import Agent, AgentStatus, Crew
from crewship.crews.services import lock_crew
from crewship.domain.errors import Unavailable
from crewship.web.news import announce
from crewship.workspaces.audit import AuditAction, note
from crewship.workspaces.limits import lock_workspace, refuse_beyond
from crewship.workspaces.models import User
from provisioning.agents.wishes import wish_started, wish_stopped
from provisioning.models import ProvisionJob
from provisioning.selectors import current_image
from provisioning.services import JobActive, request_provision
from provisioning.states import ACTIVE

SLACK_S: Final = 90.0  # beyond the grace; what starting (with postStart) may take
_POLL_S: Final = 0.2
_UNDER_WAY: Final = frozenset({AgentStatus.STARTING, AgentStatus.RUNNING})
_DOWN: Final = frozenset({AgentStatus.STOPPED, AgentStatus.STOPPING})
NO_IMAGE: Final = "The crew has no image to start it on; provision the crew first."
NOT_IN_TIME: Final = "It did not start in time; its status says how it goes on."


@dataclass(frozen=True, slots=True)
class FailedAgent:
    id: str
    name: str
    error: str


@dataclass(frozen=True, slots=True)
class RestartReport:
    restarted: int
    failed: tuple[FailedAgent, ...] = ()


def start_agent(agent: Agent, actor: User | None) -> Agent:
    """The agent is meant to run. It is started on the crew's current image; where there is none
    and none is being made, a provision was requested, and the agent starts when that is done.

    An agent that runs or starts is left alone. Raises NoDockerHost, DockerHostLost, NotFound, and
    LimitReached, and what ``request_provision`` raises; then nothing has changed.
    """
    return _have_it_started(agent, actor, afresh=False)


def restart_agent(agent: Agent, actor: User | None) -> Agent:
    """As ``start_agent``, and one that runs is stopped first, once there is an image: what was
    changed in it takes effect."""
    return _have_it_started(agent, actor, afresh=True)


def _have_it_started(agent: Agent, actor: User | None, *, afresh: bool) -> Agent:
    host = healthy_host()
    _refuse_more(agent)  # before a build is asked for that would serve nobody
    _provision_if_needed(agent.crew, actor)
    with transaction.atomic():
        lock_workspace(agent.crew.workspace)
        agent = lock_agent(agent)
        _refuse_more(agent)
        if afresh or not (agent.wants_running and agent.status in _UNDER_WAY):
            wish_started(Agent.objects.filter(pk=agent.pk), host.name)
            note(AuditAction.AGENT_STARTED, agent, workspace=agent.crew.workspace)
            announce(f"workspace:{agent.crew.workspace_id}")
            agent.refresh_from_db()
    return agent


def _refuse_more(agent: Agent) -> None:
    if agent.wants_running:
        return
    workspace = agent.crew.workspace
    limit = settings.CREWSHIP.limits.running_agents_per_workspace
    meant = Agent.objects.filter(crew__workspace=workspace, wants_running=True)
    refuse_beyond(limit, meant.count(), "running agents", of=workspace.slug)


def _provision_if_needed(crew: Crew, actor: User | None) -> None:
    if current_image(crew) is not None:
        return
    if ProvisionJob.objects.filter(crew=crew, state__in=ACTIVE).exists():
        return
    with suppress(JobActive):  # another start of the crew came first; its job serves both
        request_provision(crew=crew, actor=actor)


def stop_agent(agent: Agent) -> Agent:
    """The agent is meant to be stopped, and stays so until it is started; its container ends
    within the grace. Needs no host: one that is away does it when it is back. Raises NotFound."""
    with transaction.atomic():
        agent = lock_agent(agent)
        if agent.wants_running or agent.status not in _DOWN:
            wish_stopped(Agent.objects.filter(pk=agent.pk))
            note(AuditAction.AGENT_STOPPED, agent, workspace=agent.crew.workspace)
            announce(f"workspace:{agent.crew.workspace_id}")
            agent.refresh_from_db()
    return agent


def restart_agents(crew: Crew) -> RestartReport:
    """Every agent that is meant to run was stopped and started again, side by side, with its
    environment of now on the crew's current image; those that were not are reported beside.

    Without a current image nothing is stopped and all of them are reported. Raises NoDockerHost,
    DockerHostLost, NotFound.
    """
    host = healthy_host()
    with transaction.atomic():
        crew = lock_crew(crew)
        meant = Agent.objects.filter(crew=crew, wants_running=True)
        agents = list(meant.select_for_update(no_key=True).order_by("pk"))
        if current_image(crew) is None:
            return RestartReport(0, tuple(_failed(agent, NO_IMAGE) for agent in agents))
        wish_started(meant, host.name)
        note(AuditAction.AGENTS_RESTARTED, crew, workspace=crew.workspace, agents=len(agents))
        announce(f"workspace:{crew.workspace_id}")
        wanted = {agent.pk: agent.asked + 1 for agent in agents}
    return _report(wanted, _await_done(wanted))


def _await_done(wanted: Mapping[str, int]) -> str:
    """Every agent's wish was carried out ("" then), or why it is of no use to wait longer."""
    deadline = time.monotonic() + settings.CREWSHIP.agents.grace_s + SLACK_S
    while True:
        rows = Agent.objects.filter(pk__in=wanted).values_list("pk", "done")
        if all(done >= wanted[pk] for pk, done in rows):
            return ""
        if time.monotonic() >= deadline:
            return NOT_IN_TIME
        try:
            healthy_host()
        except Unavailable as err:
            return f"{err.message} It is restarted when the host is back."
        time.sleep(_POLL_S)


def _report(wanted: Mapping[str, int], given_up: str) -> RestartReport:
    """What became of the agents; one that was deleted or stopped meanwhile is neither restarted
    nor failed."""
    restarted = 0
    failed = []
    for agent in Agent.objects.filter(pk__in=wanted, wants_running=True).order_by("pk"):
        if agent.done < wanted[agent.pk]:
            failed.append(_failed(agent, given_up or NOT_IN_TIME))
        elif agent.status == AgentStatus.FAILED:
            failed.append(_failed(agent, agent.error))
        else:
            restarted += 1
    return RestartReport(restarted, tuple(failed))


def _failed(agent: Agent, error: str) -> FailedAgent:
    return FailedAgent(agent.pk, agent.name, error)
