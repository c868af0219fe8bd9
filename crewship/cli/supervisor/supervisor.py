"""The loop that keeps a set of children alive and ends them in order."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from crewship.cli.supervisor.child import Backoff, Child, ChildSpec, ChildState, Stage, how_it_ended
from crewship.cli.supervisor.log_file import LogBounds
from crewship.cli.supervisor.output import Screen
from crewship.domain.errors import StartFailed

TICK_S = 0.2  # the longest time until something that sends no signal is noticed


class StopRequested(Exception):
    """SIGTERM or SIGINT came while something was waited for."""


class Supervisor:
    """Children by name. One thread; every wait reads the children's lines and restarts them."""

    def __init__(
        self,
        log_dir: Path,
        screen: Screen | None = None,
        *,
        backoff: Backoff | None = None,
        log_bounds: LogBounds | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log_dir = log_dir
        self._screen = screen or Screen()
        self._backoff = backoff or Backoff()
        self._log_bounds = log_bounds or LogBounds()
        self._clock = clock
        self._children: dict[str, Child] = {}
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)

    def say(self, text: str) -> None:
        self._screen.line("crewship", text)

    @property
    def children(self) -> tuple[Child, ...]:
        return tuple(self._children.values())

    def child(self, name: str) -> Child:
        return self._children[name]

    def request_stop(self) -> None:
        """The present wait ends; safe to call from a signal handler, more than once."""
        self._stopping = True

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask for a stop, an ended child wakes the loop. Main thread only."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.getsignal(number) for number in (*numbers, signal.SIGCHLD)}
        for number in numbers:
            signal.signal(number, lambda *_: self.request_stop())
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the default would not wake the loop
        wakeup = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self, spec: ChildSpec) -> Child:
        """The child runs, and is started again when it ends by itself. Raises StartFailed."""
        child = Child(spec, self._log_dir, self._screen, self._backoff, self._log_bounds)
        self._children[spec.name] = child
        try:
            child.start(self._clock())
        except OSError as err:
            raise StartFailed(f"{spec.name} can't be started: {err}") from err
        return child

    def run_to_end(self, spec: ChildSpec, timeout_s: float) -> None:
        """The one-off has succeeded, or StartFailed with its last lines; StopRequested."""
        child = self.start(spec)
        try:
            self.wait_until(lambda: child.state is ChildState.ENDED, timeout_s, spec.name)
        finally:
            if child.state is not ChildState.ENDED:
                child.stop(self._clock())
                self._wait_for_ends([child])
            child.close()
            del self._children[spec.name]
        if child.exit_code:
            raise _failure(child)

    def wait_ready(
        self, child: Child, ready: Callable[[], bool], timeout_s: float, *, tries: int = 1
    ) -> None:
        """``ready()`` is true; StartFailed after the time or ``tries`` crashes; StopRequested."""
        name = child.spec.name
        self.wait_until(lambda: child.crashes >= tries or ready(), timeout_s, name)
        if child.crashes >= tries:
            raise _failure(child)

    def wait_until(
        self, done: Callable[[], bool], timeout_s: float | None = None, what: str = ""
    ) -> None:
        """``done()`` is true, or StartFailed after the time, or StopRequested."""
        limit = None if timeout_s is None else self._clock() + timeout_s
        while not done():
            if self._stopping:
                raise StopRequested
            if limit is not None and self._clock() >= limit:
                raise StartFailed(f"{what} did not get ready in {timeout_s:g} s")
            self.turn()

    def run(self) -> None:
        """Keeps the children running until a stop is requested."""
        with contextlib.suppress(StopRequested):
            self.wait_until(lambda: False)

    def turn(self, longest_s: float = TICK_S) -> None:
        """One round: read lines, notice ends, restart, kill what had its grace."""
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        for child in self.children:
            if child.output is not None:
                poll.register(child.output, select.POLLIN)
        poll.poll(max(0.0, longest_s) * 1000)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 512)
        now = self._clock()
        for child in self.children:
            child.read()
            child.tick(now)

    def stop(self) -> None:
        """No child and no process of its group is left; stage after stage, each with its grace."""
        self._stopping = True
        for stage in Stage:
            group = [child for child in self.children if child.spec.stage is stage]
            for child in group:
                child.stop(self._clock())
            self._wait_for_ends(group)

    def close(self) -> None:
        """stop() and free the descriptors."""
        self.stop()
        for child in self.children:
            child.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _wait_for_ends(self, group: list[Child]) -> None:
        # Bounded: a child is killed after its grace, and SIGKILL can't be refused.
        while not all(child.is_over for child in group):
            self.turn()


def _failure(child: Child) -> StartFailed:
    last = "\n".join(child.log.tail())
    return StartFailed(f"{child.spec.name} {how_it_ended(child.exit_code or 0)}:\n{last}")
