"""From the pipeline's news to job events: batched, bounded, and fenced.

A thread writes every FLUSH_S what came meanwhile, a batch in a transaction; the pipeline never
waits for the database. A flood that comes faster, or while the database is away, loses its middle
(``provisioning/log_buffer.py``). When the job is no more this worker's, ``lost`` is set and nothing
is written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from threading import Event, Lock, Thread
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection

from crewship.devcontainer.types import LayerPlan
from crewship.web.database import PATIENCE_S, close_connection
from provisioning.job_log import StoredLog
from provisioning.pipeline.output import MAX_LINE, clean_text
from provisioning.states import EventKind

log = logging.getLogger(__name__)

FLUSH_S = 0.3
BATCH_BYTES = 1024 * 1024  # of output in one transaction
SYSTEM_LINES = 2000  # lines of ours in a job's log
SYSTEM_BYTES = 1024 * 1024
ERROR_CHARACTERS = 64_000


class EventEmitter:
    """The pipeline's Emit for one claimed job; a context manager around its thread."""

    def __init__(self, *, job_id: str, fence: int, lost: Event) -> None:
        self._job_id = job_id
        self._fence = fence
        self._lost = lost
        self._lock = Lock()
        self._log = StoredLog.read(job_id)
        self._buffer = self._log.buffer()
        self._system_lines = self._log.system_lines
        self._system_size = self._log.system_size
        self._fields: dict[str, Any] = {}  # columns to write with the next batch
        self._step = 0
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
            self._buffer.replace(EventKind.STEP_MESSAGE, self._step, {"message": message})

    def system(self, text: str) -> None:
        with self._lock:
            for line in clean_text(text).splitlines():
                self._add_system(line[:MAX_LINE])

    def output(self, lines: Sequence[str]) -> None:
        with self._lock:
            self._buffer.add_output(self._step, lines)

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
            self._add(EventKind.STEP_FAILED, {"error": clean_text(error)[:ERROR_CHARACTERS]})

    def all_done(self) -> None:
        with self._lock:
            self._add(EventKind.STEP_DONE, {})

    # -- inside; the lock is held
    def _add(self, kind: EventKind, data: dict[str, Any]) -> None:
        self._buffer.add(kind, self._step, data)

    def _add_system(self, line: str) -> None:
        if self._system_lines > SYSTEM_LINES:
            return
        self._system_lines += 1
        self._system_size += len(line.encode(errors="replace"))
        if self._system_lines > SYSTEM_LINES or self._system_size > SYSTEM_BYTES:
            self._system_lines = SYSTEM_LINES + 1
            line = "crewship has said too much here: what it says from now on is not kept"
        self._add(EventKind.SYSTEM, {"text": line})

    # -- the thread
    def _run(self) -> None:
        try:
            while not self._closing.wait(FLUSH_S):
                self._write()
            self.flush()
        finally:
            connection.close()

    def flush_all(self, within_s: float = PATIENCE_S) -> None:
        """As ``flush``; a database that is away is waited for that long. For the job's last lines:
        after its end none is taken any more."""
        deadline = time.monotonic() + within_s
        while not self.flush() and time.monotonic() < deadline:
            time.sleep(FLUSH_S)

    def flush(self) -> bool:
        """What came so far is in the database, or dropped with ``lost`` set.

        A database that does not answer keeps it for the next flush; False then. Whoever calls last
        (before the job's end is written) has also waited for a batch that the thread was writing.
        """
        while self._write():
            pass
        with self._lock:
            return not self._buffer and not self._fields

    def _write(self) -> bool:
        """One batch; whether another should follow."""
        with self._writing:
            with self._lock:
                entries, self._fields, fields = self._buffer.take(BATCH_BYTES), {}, self._fields
            if not entries and not fields:
                return False
            try:
                if not self._log.write(entries, guard=self._fence, **fields):
                    self._lost.set()
            except DatabaseError as err:
                log.warning("%s: the database does not answer: %s", self._job_id, err)
                close_connection()
                with self._lock:
                    self._buffer.put_back(entries)
                    self._fields = fields | self._fields
                return False
            return bool(self._buffer)
