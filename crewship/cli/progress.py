"""What a watch knows of a job: its steps, what it does now, its log so far, how it ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from crewship.cli.marks import CANCELLED, DONE, FAILED, RUNNING, WAITING, Mark
from crewship.cli.terminal import clean
from provisioning.pipeline.output import MAX_LINE, clean_line, gap_line, lines_in_gap, plain

STEPS: Final = (*("validate", "pull-base", "install-features", "install-mise", "snapshot", "tag"),)
ACTIVE: Final = ("pending", "running")
ENDED: Final = {"completed": DONE, "failed": FAILED, "cancelled": CANCELLED}
OUTPUT_PREFIX: Final = "| "

Json = Mapping[str, Any]  # Any: JSON


@dataclass(slots=True)
class Step:
    label: str
    mark: Mark = WAITING
    began: float | None = None  # seconds since the epoch, by the server's clock
    ended: float | None = None

    def seconds(self, now: float) -> float | None:
        """None for a step that nobody saw begin."""
        if self.began is None:
            return None
        return max(0.0, (now if self.ended is None else self.ended) - self.began)


@dataclass(slots=True)
class Progress:
    """Of one job at a time: news of another one begins anew."""

    job_id: str = ""
    seq: int = 0  # the last event that was told; 0: none
    state: str = ""
    message: str = ""
    was_there: bool = False  # the image needed no build
    steps: list[Step] = field(default_factory=lambda: [Step(label) for label in STEPS])
    end: Json | None = None  # {status, state, cached_image, error}, once nothing will follow
    skew: float = 0.0  # seconds that the server's clock is ahead of ours
    _told: int = 0  # lines that the events so far had
    _shown: int = 0  # lines that were handed on, whether from events or from a whole log

    def now(self) -> float:
        return time.time() + self.skew

    def take(self, event: Json) -> list[str]:
        """One event of the stream. Returns its log lines; none of an event that was told before."""
        self._of(str(event["job_id"]))
        if event["seq"] <= self.seq:
            return []
        self.seq = event["seq"]
        kind, data = event["kind"], event["data"]
        at = datetime.fromisoformat(event["at"]).timestamp()
        if kind == "job.state":
            self._become(str(data["state"]), at)
        elif kind.startswith("step."):
            self._step(kind, int(event["step"]), data, at)
        elif kind == "cache.hit":
            self.was_there = True
        elif kind == "log_gap":
            self._told += max(0, int(data["lines"]) - 1)  # the line that stands for them is one
            return self._new([gap_line(data)])
        elif kind == "log.system":
            return self._new([str(data["text"])])
        elif kind == "log.output":
            return self._new([f"{OUTPUT_PREFIX}{line}" for line in data["lines"]])
        return []

    def take_job(self, job: Json) -> None:
        """The job as a poll saw it; steps are timed by when they were seen."""
        self._of(str(job["id"]))
        now = self.now()
        if job["state"] == "running" and job["step"]:
            current = self.steps[min(int(job["step"]), len(STEPS)) - 1]
            if current.mark is not RUNNING:
                self._start(self.steps.index(current), now)
        self.message, self.was_there = clean(job["message"]), bool(job["cache_hit"])
        if job["state"] != self.state:
            self._become(str(job["state"]), now)

    def take_log(self, lines: Sequence[str]) -> list[str]:
        """A job's whole log so far. Returns the lines that were not handed on yet.

        Lines are counted as they were printed: one that says how many are missing stands for these.
        """
        fresh, at = [], 0
        for line in lines:
            at += lines_in_gap(line) or 1
            if at > self._shown:
                fresh.append(shown_line(line))
        self._shown = max(self._shown, at)
        return fresh

    def finish(self, end: Json) -> None:
        """Nothing will follow: ``end`` says how the crew's latest job ended, if it had one."""
        if end.get("state") in ENDED and end["state"] != self.state:
            self._become(end["state"], self.now())
        self.end = end

    # -- inside
    def _of(self, job_id: str) -> None:
        if job_id == self.job_id:
            return
        self.job_id, self.seq, self.state, self.message = job_id, 0, "", ""
        self.was_there = False
        self.steps = [Step(label) for label in STEPS]
        self._told = self._shown = 0

    def _become(self, state: str, at: float) -> None:
        self.state = state
        if state in ACTIVE:
            if state == "pending":  # also again, after its worker went away
                self.steps = [Step(label) for label in STEPS]
            return
        if state == "completed":  # with a hit or another job's image no step is ever told
            for step in self.steps:
                step.mark = DONE
        for step in self.steps:
            if step.mark is RUNNING:
                step.mark = ENDED.get(state, FAILED)
            if step.began is not None and step.ended is None:
                step.ended = at

    def _step(self, kind: str, number: int, data: Json, at: float) -> None:
        if kind == "step.message" or kind == "step.started":
            self.message = clean(data["message"])
        if not 1 <= number <= len(self.steps):
            return
        step = self.steps[number - 1]
        if kind == "step.started":
            self._start(number - 1, at)
        elif kind == "step.done":
            step.mark, step.ended = DONE, at
        elif kind == "step.failed":
            step.mark, step.ended = FAILED, at

    def _start(self, index: int, at: float) -> None:
        for step in self.steps[:index]:
            if step.mark is not DONE:
                step.mark = DONE
                step.ended = at if step.began is not None else None
        for step in self.steps[index:]:
            step.mark, step.began, step.ended = WAITING, None, None
        self.steps[index].mark, self.steps[index].began = RUNNING, at

    def _new(self, lines: Sequence[str]) -> list[str]:
        """Those of the lines that no whole log had before."""
        skip = max(0, self._shown - self._told)
        self._told += len(lines)
        self._shown = max(self._shown, self._told)
        return [shown_line(line) for line in lines[skip:]]


def shown_line(line: str) -> str:
    """A line of a log as a terminal may show it."""
    return plain(clean_line(line, len(OUTPUT_PREFIX) + MAX_LINE))
