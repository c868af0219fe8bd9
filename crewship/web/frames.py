"""Server-sent events as bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

from rest_framework.utils.encoders import JSONEncoder

RETRY_MS = (1000, 3000)  # when a browser's EventSource comes back; not all in the same moment
KEEPALIVE = b": keepalive\n\n"
CHUNK_BYTES = 64 * 1024  # frames are sent together, up to this


def frame(event: str, data: Any, event_id: str = "") -> bytes:  # Any: JSON
    """One event. ASCII JSON escapes whatever any client takes for a line end, so that data cannot
    forge a frame."""
    text = json.dumps(data, cls=JSONEncoder, separators=(",", ":"))
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {event}\ndata: {text}\n\n".encode()


def retry() -> bytes:
    return f"retry: {random.randint(*RETRY_MS)}\n\n".encode()  # noqa: S311  # no secret


def joined(frames: Iterable[bytes]) -> Iterator[bytes]:
    """The frames, as many together as fit into CHUNK_BYTES; none is cut."""
    chunk: list[bytes] = []
    size = 0
    for item in frames:
        if chunk and size + len(item) > CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
        chunk.append(item)
        size += len(item)
    if chunk:
        yield b"".join(chunk)
