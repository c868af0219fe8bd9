"""When an agent whose command ended is started again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LONGEST_S: Final = 60.0
STEADY_S: Final = 60.0  # whoever ran that long begins anew at a second


class Backoff:
    """1, 2, 4 … 60 s after the end, as ``restart: unless-stopped`` does; in memory only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: dict[str, int] = {}  # in a row
        self._started_at: dict[str, float] = {}
        self._due_at: dict[str, float] = {}

    def started(self, agent_id: str) -> None:
        self._started_at[agent_id] = self._clock()

    def ended(self, agent_id: str) -> float:
        """Counts the end; returns after how many seconds it is due again."""
        started_at = self._started_at.get(agent_id)
        if started_at is None or self._clock() - started_at >= STEADY_S:
            self._ends[agent_id] = 0
        delay_s = min(LONGEST_S, 2.0 ** self._ends.get(agent_id, 0))
        self._ends[agent_id] = self._ends.get(agent_id, 0) + 1
        self._due_at[agent_id] = self._clock() + delay_s
        return delay_s

    def is_due(self, agent_id: str) -> bool:
        return self._clock() >= self._due_at.get(agent_id, 0.0)

    def forget(self, agent_id: str) -> None:
        for known in (self._ends, self._started_at, self._due_at):
            known.pop(agent_id, None)
