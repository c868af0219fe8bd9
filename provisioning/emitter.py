"""From the pipeline's news to job events: batched, capped, and fenced.

A thread writes every FLUSH_S what came meanwhile, in one transaction; the pipeline never waits
for the database. When the job is no more this worker's, ``lost`` is set and nothing is written.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Event, Lock, Thread
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection

from crewship.devcontainer.types import LayerPlan
from provisioning.pipeline.output import MAX_LINES, clean_text
from provisioning.states import EventKind
from provisioning.transitions import Event as JobEventTuple
from provisioning.transitions import record

log = logging.getLogger(__name__)

FLUSH_S = 0.3
CHUNK_LINES = 200  # lines in one event row


class EventEmitter:
    """The pipeline's Emit for one claimed job; a context manager around its thread."""

    def __init__(self, *, job_id: str, fence: int, lost: Event) -> None:
        self._job_id = job_id
        self._fence = fence
        self._lost = lost
        self._lock = Lock()
        self._events: list[JobEventTuple] = []
        self._fields: dict[str, Any] = {}  # columns to write with the next batch
        self._step = 0
        self._lines = 0
        self._writing = Lock()  # batches reach the database in the order they were taken
        self._closing = Event()
        self._thread = Thread(target=self._run, name="events", daemon=True)

    def __enter__(self) -> EventEmitter:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        self._thread.join()

    # -- Emit
    def step(self, number: int, message: str) -> None:
        with self._lock:
            if self._step:
                self._add(EventKind.STEP_DONE, {})
            self._step = number
            self._add(EventKind.STEP_STARTED, {"message": message})
            self._fields |= {"step": number, "message": message[:300]}

    def message(self, text: str) -> None:
        with self._lock:
            message = clean_text(text)[:300]
            self._fields["message"] = message
            # A pull says how far it is many times a second: only the last word of a batch counts.
            if self._events and self._events[-1][:2] == (EventKind.STEP_MESSAGE, self._step):
                self._events.pop()
            self._add(EventKind.STEP_MESSAGE, {"message": message})

    def system(self, text: str) -> None:
        with self._lock:
            for line in clean_text(text).splitlines():
                self._add(EventKind.SYSTEM, {"text": line[:4000]})

    def output(self, lines: Sequence[str]) -> None:
        with self._lock:
            room = MAX_LINES - self._lines
            self._lines += len(lines)
            for line in lines[: max(0, room)]:
                self._append_line(line)
            if 0 <= room < len(lines):  # the first line that is too much
                text = f"More than {MAX_LINES} lines: what follows is not kept"
                self._add(EventKind.SYSTEM, {"text": text})
                self._lines = MAX_LINES + 1

    def layer(self, plan: LayerPlan, *, hit: bool, seconds: float) -> None:
        data = {
            "kind": str(plan.kind),
            "label": plan.label,
            "key": plan.key,
            "hit": hit,
            "seconds": round(seconds, 2),
        }
        with self._lock:
            self._add(EventKind.LAYER, data)

    def step_failed(self, error: str) -> None:
        with self._lock:
            self._add(EventKind.STEP_FAILED, {"error": clean_text(error)})

    def all_done(self) -> None:
        with self._lock:
            self._add(EventKind.STEP_DONE, {})

    # -- inside; the lock is held
    def _add(self, kind: EventKind, data: dict[str, Any]) -> None:
        self._events.append((kind, self._step, data))

    def _append_line(self, line: str) -> None:
        """Onto the open chunk if the last event is one, so that a line is not a row."""
        if self._events:
            kind, step, data = self._events[-1]
            if kind == EventKind.OUTPUT and step == self._step and len(data["lines"]) < CHUNK_LINES:
                data["lines"].append(line)
                return
        self._add(EventKind.OUTPUT, {"lines": [line]})

    # -- the thread
    def _run(self) -> None:
        try:
            while not self._closing.wait(FLUSH_S):
                self.flush()
            self.flush()
        finally:
            connection.close()

    def flush(self) -> None:
        """What came so far is in the database, or dropped with ``lost`` set.

        A database that does not answer keeps it for the next flush. Whoever calls last (before
        the job's end is written) has also waited for a batch that the thread was writing.
        """
        with self._writing:
            with self._lock:
                events, fields = self._events, self._fields
                self._events, self._fields = [], {}
            if not events and not fields:
                return
            try:
                if not record(self._job_id, events, guard=self._fence, **fields):
                    self._lost.set()
            except DatabaseError as err:
                log.warning("%s: the database does not answer: %s", self._job_id, err)
                with self._lock:
                    self._events = events + self._events
                    self._fields = fields | self._fields
