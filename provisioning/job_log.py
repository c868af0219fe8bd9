"""A job's log in the database: the first quarter and the last three of what it may have.

Output between the two goes again as more is written, and the last event that went becomes a
LOG_GAP with the size of all that is missing. Who reads on from a seq inside the gap meets that one
event and then the rest. Everything else that happened (states, steps, lines of ours) stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction

from provisioning.log_buffer import EMPTY_CHUNK, Entry, LogBuffer
from provisioning.models import JobEvent
from provisioning.reading import walk
from provisioning.states import LOG_KINDS, EventKind
from provisioning.stored_json import line_sizes
from provisioning.transitions import append


class Chunk(NamedTuple):
    """A row of output. Sizes as in ``log_buffer.Entry``."""

    seq: int
    size: int
    lines: int
    text: int


@dataclass(frozen=True, slots=True)
class _Change:
    """What a batch does to the log: rows of output it adds behind the head, how many of the
    oldest of all these then go, and where the gap ends (0: nothing goes)."""

    added: Sequence[Chunk]
    head: Sequence[Chunk]
    dropped: int
    missing_lines: int
    missing_text: int
    gap_at: int


@dataclass(slots=True)
class StoredLog:
    """What the database has of the log of one job that this worker claimed."""

    job_id: str
    head_size: int = 0
    head_end: int = 0  # seq of the head's last row
    missing_lines: int = 0
    missing_text: int = 0
    tail: deque[Chunk] = field(default_factory=deque)
    tail_size: int = 0
    system_lines: int = 0
    system_size: int = 0

    @classmethod
    def read(cls, job_id: str) -> StoredLog:
        """What a worker before this one wrote, if the job had one."""
        log = cls(job_id)
        for event in walk(JobEvent.objects.filter(job_id=job_id, kind__in=LOG_KINDS)):
            if event.kind == EventKind.SYSTEM:
                log.system_lines += 1
                log.system_size += len(event.data["text"].encode(errors="replace"))
            elif event.kind == EventKind.LOG_GAP:
                log._met_gap(event)
            else:
                log._met_output(event)
        return log

    def _met_gap(self, event: JobEvent) -> None:
        if self.tail:  # it was written under another limit: what stands before a gap is the head
            self.head_size += self.tail_size
            self.head_end = self.tail[-1].seq
            self.tail, self.tail_size = deque(), 0
        self.missing_lines = int(event.data["lines"])
        self.missing_text = int(event.data["bytes"])

    def _met_output(self, event: JobEvent) -> None:
        sizes = [line_sizes(line) for line in event.data["lines"]]
        size = EMPTY_CHUNK + sum(stored for stored, _ in sizes)
        if not self.has_tail and self.head_size + size <= head_limit():
            self.head_size += size
            self.head_end = event.seq
        else:
            self.tail.append(Chunk(event.seq, size, len(sizes), sum(text for _, text in sizes)))
            self.tail_size += size

    @property
    def has_tail(self) -> bool:
        """The head is complete."""
        return bool(self.tail or self.missing_lines)

    def buffer(self) -> LogBuffer:
        """An empty buffer for what follows."""
        head = 0 if self.has_tail else max(0, head_limit() - self.head_size)
        return LogBuffer(head=head, tail=tail_limit())

    def write(
        self,
        entries: Sequence[Entry],
        *,
        guard: int,
        **fields: Any,  # Any: columns of the job
    ) -> bool:
        """The events and columns are in the database, and the log is within its bound.

        False and nothing written when the job is no more this worker's. Raises DatabaseError, and
        nothing was written.
        """
        events = [entry.event() for entry in entries]
        with transaction.atomic():
            last = append(self.job_id, events, guard=guard, **fields)
            if last is None:
                return False
            change = self._change(entries, last - len(entries) + 1)
            if change.gap_at:
                self._cut(change)
        self._became(change)
        return True

    def _change(self, entries: Sequence[Entry], first: int) -> _Change:
        head: list[Chunk] = []
        added: list[Chunk] = []
        dropped = lines = text = gap_at = 0
        for seq, entry in enumerate(entries, start=first):
            chunk = Chunk(seq, entry.size, entry.lines, entry.text)
            if entry.kind == EventKind.LOG_GAP:  # output before it was dropped: so must be older
                dropped, gap_at = len(self.tail) + len(added), seq
                lines, text = entry.lines, entry.text
            elif entry.kind == EventKind.OUTPUT:
                (head if entry.head else added).append(chunk)
        rows = chain(self.tail, added)
        for chunk in islice(rows, dropped):
            lines, text = lines + chunk.lines, text + chunk.text
        size = sum(chunk.size for chunk in islice(chain(self.tail, added), dropped, None))
        while size > tail_limit():
            chunk = next(rows)
            size -= chunk.size
            lines, text = lines + chunk.lines, text + chunk.text
            dropped, gap_at = dropped + 1, max(gap_at, chunk.seq)
        return _Change(
            added, head, dropped, self.missing_lines + lines, self.missing_text + text, gap_at
        )

    def _cut(self, change: _Change) -> None:
        head_end = change.head[-1].seq if change.head else self.head_end
        rows = JobEvent.objects.filter(job_id=self.job_id)
        kinds = (EventKind.OUTPUT, EventKind.LOG_GAP)
        rows.filter(kind__in=kinds, seq__gt=head_end, seq__lt=change.gap_at).delete()
        data = {"bytes": change.missing_text, "lines": change.missing_lines}
        rows.filter(seq=change.gap_at).update(kind=EventKind.LOG_GAP, data=data)

    def _became(self, change: _Change) -> None:
        if change.head:
            self.head_size += sum(chunk.size for chunk in change.head)
            self.head_end = change.head[-1].seq
        self.tail.extend(change.added)
        for _ in range(change.dropped):
            self.tail.popleft()
        self.tail_size = sum(chunk.size for chunk in self.tail)
        self.missing_lines, self.missing_text = change.missing_lines, change.missing_text


def head_limit() -> int:
    return settings.CREWSHIP.limits.job_log_mb * 1024 * 1024 // 4


def tail_limit() -> int:
    return head_limit() * 3
