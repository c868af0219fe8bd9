"""Waiting until a host's watcher removed what a deleted agent or crew left there."""

from __future__ import annotations

import time
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from cache.hosts import healthy_host
from crewship.crews.models import Agent
from crewship.domain.errors import Unavailable
from crewship.workspaces.audit import AuditAction, note
from provisioning.models import AgentContainer, AgentVolume

SLACK_S: Final = 30.0  # beyond the grace that a container is given to end
_POLL_S: Final = 0.2


@transaction.atomic
def delete_agent(agent: Agent) -> None:
    """The agent is gone from our records; its container goes next, by the host's watcher."""
    note(AuditAction.AGENT_DELETED, agent, workspace=agent.crew.workspace)
    Agent.objects.filter(pk=agent.pk).delete()


def await_agent_removal(agent_id: str) -> bool:
    """As ``await_removal``, of one agent's container."""
    return _await(AgentContainer.objects.filter(agent_id=agent_id))


def await_removal(crew_id: str) -> bool:
    """Whether nothing of a deleted crew's agents is on the host any more, save volumes that stay.

    Waits for it, at most grace and slack; not where the host is away: then it happens when the
    host is back. Never within a transaction, which would hide the deletion from the watcher.
    """
    return _await(
        AgentContainer.objects.filter(crew_id=crew_id),
        AgentVolume.objects.filter(crew_id=crew_id, delete_at__isnull=False),
    )


def _await(*rows: QuerySet[Any]) -> bool:
    deadline = time.monotonic() + settings.CREWSHIP.agents.grace_s + SLACK_S
    while any(query.exists() for query in rows):
        if time.monotonic() >= deadline or not _host_is_there():
            return False
        time.sleep(_POLL_S)
    return True


def _host_is_there() -> bool:
    try:
        healthy_host()
    except Unavailable:
        return False
    return True
