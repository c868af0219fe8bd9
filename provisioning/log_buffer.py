"""Events of a running job that wait to be written, within a bound of memory.

The log's beginning stays (``head``), and its end (``tail``): while nothing can be written, or not
as fast as a script prints, the oldest output after the head is dropped and counted. What was
dropped is one LOG_GAP among the events, in the place of the newest output that went.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from provisioning.states import EventKind
from provisioning.stored_json import line_sizes
from provisioning.transitions import Event

CHUNK_LINES: Final = 500  # lines in one event
CHUNK_BYTES: Final = 64 * 1024  # bytes in one event, as stored
EMPTY_CHUNK: Final = len('{"lines":[]}')


@dataclass(slots=True)
class Entry:
    """One event to write. Of output: its lines, packed as text once no more are added to it."""

    kind: EventKind
    step: int
    data: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON
    packed: bytes = b""
    size: int = 0  # bytes as stored
    lines: int = 0
    text: int = 0  # bytes of the lines with their newlines
    head: bool = False

    @property
    def is_tail(self) -> bool:
        return self.kind == EventKind.OUTPUT and not self.head

    def event(self) -> Event:
        if self.kind == EventKind.OUTPUT:
            return self.kind, self.step, {"lines": self.packed.decode().split("\n")}
        if self.kind == EventKind.LOG_GAP:
            return self.kind, self.step, {"bytes": self.text, "lines": self.lines}
        return self.kind, self.step, self.data


class LogBuffer:
    """In the order in which they came. Not for several threads at once.

    ``head`` is how many bytes of output (as stored) are still the log's beginning; of the rest at
    most ``tail`` bytes are held.
    """

    def __init__(self, *, head: int, tail: int) -> None:
        self._head_left = head
        self._tail_limit = tail
        self._entries: dict[int, Entry] = {}  # in order
        self._last = 0
        self._tail: deque[int] = deque()  # keys of output after the head
        self._tail_size = 0
        self._gap = 0  # key of the LOG_GAP; 0: there is none
        self._open: Entry | None = None  # the output that further lines go to
        self._lines: list[str] = []  # of it

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, kind: EventKind, step: int, data: Mapping[str, Any]) -> None:  # Any: JSON
        self._close()
        self._append(Entry(kind, step, data))

    def replace(self, kind: EventKind, step: int, data: Mapping[str, Any]) -> None:  # Any: JSON
        """Like ``add``, instead of the last event if that has the same kind and step."""
        last = self._entries.get(self._last)
        if last is not None and (last.kind, last.step) == (kind, step):
            del self._entries[self._last]
        self.add(kind, step, data)

    def add_output(self, step: int, lines: Sequence[str]) -> None:
        for line in lines:
            size, text = line_sizes(line)
            chunk = self._chunk_for(step, size)
            self._lines.append(line)
            chunk.size += size
            chunk.text += text
            chunk.lines += 1
            self._count(chunk, size)
        while self._tail_size > self._tail_limit and len(self._tail) > 1:
            self._drop_oldest()

    def take(self, most: int) -> list[Entry]:
        """The first events, with about ``most`` bytes of output; they are no more here."""
        taken: dict[int, Entry] = {}
        size = 0
        for key, entry in self._entries.items():
            size += entry.size
            if taken and size > most:
                break
            taken[key] = entry
        if self._open is not None and self._last in taken:
            self._close()
        for key, entry in taken.items():
            del self._entries[key]
            if entry.is_tail:
                self._tail.popleft()
                self._tail_size -= entry.size
            elif key == self._gap:
                self._gap = 0
        return list(taken.values())

    def put_back(self, taken: Sequence[Entry]) -> None:
        """They could not be written; nothing else was taken meanwhile."""
        self._close()
        gap = self._entries.get(self._gap)
        entries = [*taken, *self._entries.values()]
        self._entries, self._tail, self._tail_size, self._gap = {}, deque(), 0, 0
        for at, entry in enumerate(entries):
            if gap is not None and at < len(taken) and _goes(entry):
                gap.text += entry.text  # it is older than what is dropped already
                gap.lines += entry.lines
            else:
                self._append(entry)
        while self._tail_size > self._tail_limit and len(self._tail) > 1:
            self._drop_oldest()

    # -- inside
    def _append(self, entry: Entry) -> None:
        self._last += 1
        self._entries[self._last] = entry
        if entry.is_tail:
            self._tail.append(self._last)
            self._tail_size += entry.size
        elif entry.kind == EventKind.LOG_GAP:
            self._gap = self._last

    def _chunk_for(self, step: int, size: int) -> Entry:
        """The event that a line of that size goes to."""
        chunk = self._open
        if (
            chunk is not None
            and chunk.step == step
            and chunk.lines < CHUNK_LINES
            and chunk.size + size <= CHUNK_BYTES
            and (not chunk.head or size <= self._head_left)
        ):
            return chunk
        self._close()
        head = EMPTY_CHUNK + size <= self._head_left
        if not head:  # the first line that has no room in it ends the head
            self._head_left = 0
        chunk = self._open = Entry(EventKind.OUTPUT, step, head=head)
        self._append(chunk)
        chunk.size = EMPTY_CHUNK
        self._count(chunk, EMPTY_CHUNK)
        return chunk

    def _count(self, chunk: Entry, size: int) -> None:
        if chunk.head:
            self._head_left -= size
        else:
            self._tail_size += size

    def _close(self) -> None:
        if self._open is not None:
            self._open.packed = "\n".join(self._lines).encode(errors="replace")
            self._open, self._lines = None, []

    def _drop_oldest(self) -> None:
        key = self._tail.popleft()
        entry = self._entries[key]
        self._tail_size -= entry.size
        former = self._entries.pop(self._gap, None)
        if former is not None:
            entry.text += former.text
            entry.lines += former.lines
        entry.kind, entry.packed, entry.size = EventKind.LOG_GAP, b"", 0
        self._gap = key


def _goes(entry: Entry) -> bool:
    return entry.is_tail or entry.kind == EventKind.LOG_GAP
