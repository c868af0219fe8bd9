"""One spelling for one JSON value, so that equal values have equal hashes."""

from __future__ import annotations

import hashlib
import json
import math

from crewship.devcontainer.types import Json

MAX_DEPTH = 100


def canonical(value: Json) -> str:
    """JSON in ASCII, keys sorted by code point, no white space; tuples are arrays."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def digest(value: Json) -> str:
    """64 hex digits: SHA-256 of the canonical spelling."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def flaw(value: Json) -> str:
    """What keeps ``value``, made by a lenient reader, from being used safely; "" if nothing does.

    Looks for too deep nesting, numbers that are not finite, NUL and half surrogate pairs: none of
    them can be written to an environment, an argv or canonical JSON. Never recurses.
    """
    stack: list[tuple[Json, int]] = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_DEPTH:
            return f"more than {MAX_DEPTH} levels of nesting"
        if isinstance(item, str):
            if "\0" in item:
                return "a NUL character"
            if any("\ud800" <= char <= "\udfff" for char in item):
                return "half a surrogate pair"
        elif isinstance(item, float) and not math.isfinite(item):
            return "a number that is not finite"
        elif isinstance(item, dict):
            for name, child in item.items():
                stack += [(name, depth + 1), (child, depth + 1)]
        elif isinstance(item, list | tuple):
            stack += [(child, depth + 1) for child in item]
        elif item is not None and not isinstance(item, bool | int | float):
            return f"a {type(item).__name__}, which JSON does not have"
    return ""
