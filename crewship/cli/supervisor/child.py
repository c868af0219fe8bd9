"""One supervised process and the states it goes through.

``idle -> running -> waiting -> running`` (crashed, restarts after a pause),
``running -> stopping -> ended`` (asked to stop), ``running -> ended`` (a one-off that is done).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from crewship.cli.supervisor.child_log import ChildLog
from crewship.cli.supervisor.log_file import LogBounds
from crewship.cli.supervisor.output import Screen
from crewship.cli.supervisor.process import kill_group, reap, spawn
from crewship.domain.errors import CrewshipError

READS_PER_TURN = 16
LOOK_S = 5.0  # between two looks at a child's ``is_sound``


class Stage(StrEnum):
    """When a child is stopped; a later stage begins when the earlier one has ended."""

    WORK = "work"
    SERVE = "serve"
    STORE = "store"


class ChildState(StrEnum):
    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPING = "stopping"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pause in seconds before a restart; doubles per crash in a row, up to ``most``."""

    first: float = 0.5
    most: float = 30.0
    calm: float = 10.0  # seconds that a child must have run for its crashes to be forgotten

    def pause(self, crashes: int) -> float:
        return float(min(self.first * 2 ** min(crashes - 1, 20), self.most))


@dataclass(frozen=True, slots=True)
class ChildSpec:
    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    stage: Stage = Stage.SERVE
    grace_s: float = 10.0  # between SIGTERM and SIGKILL
    restart: bool = True  # False: a one-off, whose exit code is the result
    quiet: bool = False  # its lines go to its file only
    before: Callable[[], object] | None = None  # done before each start
    is_sound: Callable[[], bool] | None = None  # quick; looked at once it was sound
    # Given the last lines of a process that gave up (no signal ended it): what was done about
    # it, "" for nothing.
    mend: Callable[[Sequence[str]], str] | None = None


class Child:
    """A spec with its process; time is given to each method, nothing here sleeps."""

    def __init__(
        self,
        spec: ChildSpec,
        log_dir: Path,
        screen: Screen,
        backoff: Backoff,
        log_bounds: LogBounds,
    ) -> None:
        self.spec = spec
        self.state = ChildState.IDLE
        self.exit_code: int | None = None
        self.crashes = 0  # in a row
        self.log = ChildLog(spec.name, log_dir, screen, quiet=spec.quiet, bounds=log_bounds)
        self.deadline: float | None = None  # of the pause or of the grace
        self.output: int | None = None  # descriptor to read the child's lines from
        self._screen = screen
        self._backoff = backoff
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._look_at = 0.0
        self._was_sound = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_over(self) -> bool:
        return self.state in {ChildState.ENDED, ChildState.IDLE}

    def start(self, now: float) -> None:
        """It runs. Raises OSError when no process can be made, and what ``before`` raises."""
        if self.spec.before is not None:
            self.spec.before()
        self.log.begin()
        read, write = os.pipe()
        try:
            os.set_blocking(read, False)
            self._process = spawn(self.spec.argv, env=self.spec.env, stdout=write)
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        self.output = read
        self.state = ChildState.RUNNING
        self.deadline = None
        self._started_at = now
        self._look_at, self._was_sound = now, False

    def read(self) -> None:
        """What the child wrote is in its log, as much as a turn allows; closed at its end."""
        for _ in range(READS_PER_TURN):  # a child that never pauses must not hold up the rest
            if self.output is None:
                return
            try:
                data = os.read(self.output, 65536)
            except BlockingIOError:
                return
            if not data:
                os.close(self.output)
                self.output = None
                return
            self.log.feed(data)

    def stop(self, now: float) -> None:
        """SIGTERM is sent and the grace runs; a child that only waits to restart has ended."""
        if self.state is ChildState.RUNNING and self._process:
            self.state = ChildState.STOPPING
            self.deadline = now + self.spec.grace_s
            with contextlib.suppress(ProcessLookupError):
                # Its leader only: it knows best how to stop what it started.
                os.kill(self._process.pid, signal.SIGTERM)
        elif self.state is not ChildState.STOPPING:
            self.state = ChildState.ENDED

    def tick(self, now: float) -> None:
        """Notices an exit or a child that is of no use any more, restarts after the pause, kills
        after the grace, sees to a log that could not be written."""
        self.log.look()
        if self._process and self.state in {ChildState.RUNNING, ChildState.STOPPING}:
            code = reap(self._process)
            if code is not None:
                self._ended(code, now)
        if self._process and self.state is ChildState.RUNNING:
            self._look(now)
        if self.deadline is None or now < self.deadline:
            return
        if self.state is ChildState.WAITING:
            self._start_again(now)
        elif self.state is ChildState.STOPPING and self._process:
            self._say(f"{self.spec.name} did not stop in {self.spec.grace_s:g} s; killing it")
            self.deadline = None
            kill_group(self._process)

    def _start_again(self, now: float) -> None:
        """A start that fails (no memory, no descriptors, a full disk) is tried again later."""
        try:
            self.start(now)
        except (OSError, CrewshipError) as err:
            self._wait(now, f"can't be started ({err})")

    def _look(self, now: float) -> None:
        """A child that was sound and is not any more is killed, and so started again."""
        if self.spec.is_sound is None or now < self._look_at or self._process is None:
            return
        self._look_at = now + LOOK_S
        sound = self.spec.is_sound()
        if self._was_sound and not sound:
            self._say(f"{self.spec.name} runs but can't be used; killing it")
            kill_group(self._process)
        self._was_sound = sound

    def _ended(self, code: int, now: float) -> None:
        self.read()
        self._close_output()
        self.log.end_line()
        self._process = None
        self.exit_code = code
        self.deadline = None
        if self.state is ChildState.STOPPING or not self.spec.restart:
            self.state = ChildState.ENDED
            return
        if now - self._started_at >= self._backoff.calm:
            self.crashes = 0
        if self.spec.mend is not None and code > 0 and (done := self.spec.mend(self.log.tail())):
            self._say(done)
        self._wait(now, how_it_ended(code))

    def _wait(self, now: float, what_happened: str) -> None:
        self.crashes += 1
        pause = self._backoff.pause(self.crashes)
        self.state = ChildState.WAITING
        self.deadline = now + pause
        self._say(f"{self.spec.name} {what_happened}; starting it again in {pause:g} s")

    def close(self) -> None:
        """Descriptors are closed; the log file stays."""
        self._close_output()
        self.log.close()

    def _close_output(self) -> None:
        if self.output is not None:
            os.close(self.output)
            self.output = None

    def _say(self, text: str) -> None:
        self._screen.line("crewship", text)


def how_it_ended(code: int) -> str:
    """``ended with exit code 1`` or ``was ended by SIGKILL``."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
