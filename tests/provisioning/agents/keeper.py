"""The host's watcher as seen from a request that waits: what is wished comes true."""

from __future__ import annotations

from collections.abc import Callable

from crewship.crews.models import Agent, AgentStatus


def keeper(fails: dict[str, str] | None = None) -> Callable[[float], None]:
    """For ``time.sleep``: carries out one agent's wish in each sleep; those named in ``fails``
    can't be started."""

    def sleep(_seconds: float) -> None:
        agent = next((a for a in Agent.objects.order_by("pk") if a.done < a.asked), None)
        assert agent is not None, "the request waits for nothing"
        error = (fails or {}).get(agent.name, "")
        up = AgentStatus.FAILED if error else AgentStatus.RUNNING
        status = up if agent.wants_running else AgentStatus.STOPPED
        Agent.objects.filter(pk=agent.pk).update(done=agent.asked, status=status, error=error)

    return sleep
