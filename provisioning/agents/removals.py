"""Waiting until a host's watcher removed what a deleted agent or crew left there."""

from __future__ import annotations

import time
from typing import Final

from django.conf import settings
from django.db.models import Model, QuerySet

from cache.hosts import healthy_host
from crewship.crews.models import Agent
from crewship.domain.errors import Unavailable
from provisioning.models import AgentContainer

SLACK_S: Final = 30.0  # beyond the grace that a container is given to end
_POLL_S: Final = 0.2


def delete_agent(agent: Agent) -> None:
    """The agent is gone from our records at once, and its container from the host: the request
    waits for that, unless the host is away; then it happens when the host is back."""
    Agent.objects.filter(pk=agent.pk).delete()
    await_removal(AgentContainer.objects.filter(agent_id=agent.pk))


def await_removal(*rows: QuerySet[Model]) -> bool:
    """Whether the watcher has done away with all the rows, within grace and slack."""
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
