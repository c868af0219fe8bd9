"""An agent's log while it is written, for ``crewship.web.sse.event_stream``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from crewship.web.sse import Hub, News
from provisioning.agents.agent_logs import log_topic
from provisioning.agents.selectors import LogPart, agent_log_after, agent_log_tail


class AgentLogFeed:
    """The last ``tail`` lines as text, then what is printed from then on, until the agent is
    deleted; an agent that was stopped may be started again."""

    def __init__(self, agent_id: str, tail: int) -> None:
        self.topic = log_topic(agent_id)
        self._agent_id = agent_id
        self._read: Callable[[], LogPart | None] = partial(agent_log_tail, agent_id, tail)
        self._place: tuple[str, int] = ("tail", tail)

    async def news(self, hub: Hub) -> News:
        part = await hub.shared((self.topic, *self._place), self._read)
        if part is None:
            return News(over=True)
        self._place = ("after", part.last_seq)
        self._read = partial(agent_log_after, self._agent_id, part.last_seq)
        text = "".join(f"{line}\n" for line in part.lines)
        return News([text.encode()] if text else [], more=part.more)
