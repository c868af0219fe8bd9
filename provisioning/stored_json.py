"""How JSON is written into a column: as UTF-8, so that a text takes the bytes that it has."""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any


class StoredJSON(json.JSONEncoder):
    """Compact, and not in ASCII: an é is two bytes and not the six of an escape."""

    def __init__(self, **kwargs: Any) -> None:  # Any: what json.dumps hands on
        super().__init__(**kwargs | {"ensure_ascii": False, "separators": (",", ":")})

    def encode(self, o: Any) -> str:
        text = super().encode(o)
        # Half of a surrogate pair has no UTF-8.
        return text if text.isascii() else text.encode(errors="replace").decode()


def line_sizes(line: str) -> tuple[int, int]:
    """Bytes that a line adds to a stored list of lines, and its bytes as text with a newline."""
    if line.isascii():
        return len(encode_basestring(line)) + 1, len(line) + 1
    quoted = encode_basestring(line).encode(errors="replace")
    return len(quoted) + 1, len(line.encode(errors="replace")) + 1
