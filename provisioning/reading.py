"""Events of a job read some at a time: so that rows of any size take a bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from django.db.models import QuerySet
from rest_framework.utils.encoders import JSONEncoder

from provisioning.models import JobEvent
from provisioning.states import EventKind

AT_ONCE_CHARACTERS: Final = 512 * 1024
MOST_ROWS: Final = 64
FIRST_ROWS: Final = 2  # rows of an older version may have a megabyte each


def walk(
    rows: QuerySet[JobEvent], *, newest_first: bool = False, first: int = FIRST_ROWS
) -> Iterator[JobEvent]:
    """The events of one job in order of their seq.

    Of which size the next rows are is guessed from those before, at first there are ``first``;
    whoever stops early has read little more than what was used. Rows that come or go meanwhile are
    met or not.
    """
    order, beyond = ("-seq", "seq__lt") if newest_first else ("seq", "seq__gt")
    rows = rows.order_by(order)
    here, count = rows, first
    while True:
        events = list(here[:count])
        yield from events
        if len(events) < count:
            return
        here = rows.filter(**{beyond: events[-1].seq})
        read = sum(map(_characters, events)) or 1
        count = max(1, min(count * AT_ONCE_CHARACTERS // read, count * 4, MOST_ROWS))


def _characters(event: JobEvent) -> int:
    return sum(map(len, event.data["lines"])) if event.kind == EventKind.OUTPUT else 0


def wire_size(event: JobEvent) -> int:
    """Bytes of the event's data as they are sent, in ASCII."""
    return len(json.dumps(event.data, cls=JSONEncoder, separators=(",", ":")))
