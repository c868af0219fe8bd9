"""How many event streams a user may have open at once, in each process."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable
from contextlib import suppress

from crewship.domain.errors import CapacityExceeded


class TooManyStreams(CapacityExceeded):
    code = "too_many_streams"


class Places:
    """How many streams each user has open in this process; counted when one is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: Counter[Hashable] = Counter()
        # A place may be left by the garbage collector, in the middle of anything: that only notes
        # it here, without a lock.
        self._left: deque[Hashable] = deque()

    def take(self, user: Hashable, limit: int) -> Callable[[], None] | None:
        """How to leave the place (once; more often does nothing), None when there is none."""
        with self._lock:
            if self._count(user) >= limit:
                return None
            self._open[user] += 1
        held = [user]

        def leave() -> None:
            with suppress(IndexError):
                self._left.append(held.pop())

        return leave

    def open_for(self, user: Hashable) -> int:
        with self._lock:
            return self._count(user)

    def _count(self, user: Hashable) -> int:
        while self._left:
            self._open[self._left.popleft()] -= 1
        self._open = +self._open  # without those at zero
        return self._open[user]


places = Places()
