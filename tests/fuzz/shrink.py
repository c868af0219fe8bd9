"""The smallest body that still fails the same way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

Fails = Callable[[bytes], bool]
Sequence = TypeVar("Sequence", str, bytes, tuple[Any, ...])
TRIES = 400
SECONDS = 10.0


def smallest(body: bytes, fails: Fails) -> bytes:
    """``body`` with every field, and every part of its texts, taken out that can be. Asks
    ``fails`` at most TRIES times, and not for much longer than SECONDS."""
    left = iter(range(TRIES))
    until = time.monotonic() + SECONDS

    def still_fails(candidate: bytes) -> bool:
        in_time = next(left, None) is not None and time.monotonic() < until
        return in_time and fails(candidate)

    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not still_fails(_body(fields)):
        return _cut(body, still_fails)
    names = _cut(tuple(fields), lambda kept: still_fails(_body({n: fields[n] for n in kept})))
    fields = {name: fields[name] for name in names}
    for name, text in fields.items():
        if isinstance(text, str):
            fields[name] = _shorter(fields, name, still_fails)
    return _body(fields)


def _shorter(fields: dict[str, Any], name: str, still_fails: Fails) -> str:
    text: str = fields[name]
    return _cut(text, lambda cut: still_fails(_body({**fields, name: cut})))


def _body(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


def _cut(whole: Sequence, still_fails: Callable[[Sequence], bool]) -> Sequence:
    """Takes ever smaller parts out, as long as what is left still fails."""
    size = max(1, len(whole) // 2)
    while size:
        at = 0
        while at < len(whole):
            candidate = whole[:at] + whole[at + size :]
            if still_fails(candidate):
                whole = candidate
            else:
                at += size
        size //= 2
    return whole
