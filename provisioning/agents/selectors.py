"""Reading agents: what their containers run, and what they printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from cache.models import CachedImage
from crewship.crews.models import Agent, AgentLogChunk, AgentStatus, Crew
from provisioning.agents.backoff import STEADY_S
from provisioning.pipeline.output import plain
from provisioning.selectors import current_image

CHUNKS_AT_ONCE = 16  # of at most 64 KiB, where the watcher of this version wrote them


@dataclass(frozen=True, slots=True)
class AgentView:
    """``image`` is the tag that its live container's image has by our records, else the image's
    id; None while no container runs. ``stale``: that is not the crew's current image."""

    agent: Agent
    image: str | None
    stale: bool

    @property
    def restarting(self) -> bool:
        """It is meant to run and its command keeps ending, as far as can be told: it has ended, or
        it runs again after an end, not yet for as long as counts as steady."""
        agent = self.agent
        if not agent.wants_running or agent.status != AgentStatus.RUNNING:
            return agent.wants_running and agent.status == AgentStatus.EXITED
        if not agent.restarts or agent.started_at is None:
            return False
        return (timezone.now() - agent.started_at).total_seconds() < STEADY_S


def agent_views(crew: Crew, agents: Sequence[Agent]) -> list[AgentView]:
    """The crew's agents with their images, in a fixed number of queries."""
    live = {agent.live_image_id for agent in agents if agent.live_image_id}
    if not live:
        return [AgentView(agent, None, False) for agent in agents]
    tags = dict(CachedImage.objects.filter(image_id__in=live).values_list("image_id", "tag"))
    current = current_image(crew)
    current_id = current.image_id if current else ""
    return [
        AgentView(
            agent,
            tags.get(agent.live_image_id, agent.live_image_id) or None,
            bool(agent.live_image_id) and agent.live_image_id != current_id,
        )
        for agent in agents
    ]


@dataclass(frozen=True, slots=True)
class LogPart:
    lines: tuple[str, ...]
    last_seq: int  # of the chunks that were looked at: what comes is after it
    more: bool = False  # there was more to read at once


def agent_log_tail(agent_id: str, limit: int) -> LogPart:
    """At most the last ``limit`` lines that are kept, oldest first, without colours."""
    lines: list[str] = []
    last_seq = 0
    newest = AgentLogChunk.objects.filter(agent_id=agent_id).order_by("-seq")
    for chunk in newest[: limit + 1].iterator():  # no chunk is empty
        last_seq = last_seq or chunk.seq
        if len(lines) >= limit:
            break
        lines = _plain(chunk) + lines
    return LogPart(tuple(lines[max(0, len(lines) - limit) :]), last_seq)


def agent_log_after(agent_id: str, seq: int) -> LogPart | None:
    """What was printed after the chunk ``seq``, a portion of it; None when the agent is gone."""
    later = AgentLogChunk.objects.filter(agent_id=agent_id, seq__gt=seq).order_by("seq")
    chunks = list(later[:CHUNKS_AT_ONCE])
    if not chunks and not Agent.objects.filter(pk=agent_id).exists():
        return None
    lines = tuple(line for chunk in chunks for line in _plain(chunk))
    return LogPart(lines, chunks[-1].seq if chunks else seq, len(chunks) == CHUNKS_AT_ONCE)


def _plain(chunk: AgentLogChunk) -> list[str]:
    return [plain(str(line)) for line in chunk.lines]
