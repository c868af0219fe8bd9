"""How long an operation over the network may take in all, and who may end it sooner."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Event

from crewship.domain.errors import BuildCancelled, RegistryUnreachable

LOOK_S = 0.25  # how soon a cancel is seen by whatever waits for a peer


@dataclass(slots=True)
class Deadline:
    """A point on the monotonic clock after which an operation is given up; sooner once ``cancel``
    is set. It holds for whatever the operation waits for: names, connections, headers, bodies."""

    seconds: float
    cancel: Event | None = None
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.end = time.monotonic() + self.seconds

    def check(self, host: str) -> None:
        """Raises RegistryUnreachable when the time is over, BuildCancelled after a cancel."""
        if self.cancel is not None and self.cancel.is_set():
            raise BuildCancelled("The build was stopped.")
        if time.monotonic() >= self.end:
            raise RegistryUnreachable(f"{host} did not finish within {self.seconds:g} s")

    @property
    def left_s(self) -> float:
        return self.end - time.monotonic()

    def pause(self, seconds: float) -> None:
        """Sleeps, until the cancel at most."""
        if self.cancel is None:
            time.sleep(seconds)
        else:
            self.cancel.wait(seconds)


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current_deadline() -> Deadline | None:
    """The deadline of the request that this thread is busy with; None outside of one."""
    return _current.get()


@contextmanager
def within(deadline: Deadline) -> Iterator[None]:
    """What this thread reads and connects to inside the block is bound by the deadline."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)
