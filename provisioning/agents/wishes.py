"""Writing down what agents are wanted to do; the host's watcher carries it out."""

from __future__ import annotations

from django.db.models import F, QuerySet

from crewship.crews.models import Agent, AgentStatus


def wish_started(agents: QuerySet[Agent], host_name: str) -> int:
    """The agents are meant to run, started afresh on that host; returns how many they are."""
    return agents.update(
        wants_running=True,
        asked=F("asked") + 1,
        status=AgentStatus.STARTING,
        error="",
        host_name=host_name,
    )


def wish_stopped(agents: QuerySet[Agent]) -> int:
    """The agents are meant to be stopped; returns how many they are."""
    return agents.update(wants_running=False, asked=F("asked") + 1, status=AgentStatus.STOPPING)
