"""Requests of strangers that are refused: counted in the log, not written one by one.

Whoever has no account can make as many of them as the network carries, and each would be a line.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from threading import Lock, Timer
from typing import Final

from django.http import HttpRequest
from django.utils.functional import LazyObject

log = logging.getLogger(__name__)

EVERY_S: Final = 60.0
# What uvicorn says, with its logger, of bytes that never become a request.
_UVICORN_REFUSES: Final = (
    "Invalid HTTP request received",
    "Unsupported upgrade request",
    "No supported WebSocket library",
)


class RefusedStrangers(logging.Filter):
    """Drops the records of requests without an account that were answered with a 4xx, and says
    how many they were EVERY_S seconds after the first one.

    Holds a number for each status, whatever comes.
    """

    def __init__(self, later: Callable[[Callable[[], None]], None] | None = None) -> None:
        super().__init__()
        self._later = later or _in_a_thread
        self._lock = Lock()
        self._counts: Counter[int] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        status = _refused_with(record)
        if not status:
            return True
        with self._lock:
            first = not self._counts
            self._counts[status] += 1
        if first:
            self._later(self.say)
        return False

    def say(self) -> None:
        """The count so far is a line of the log, and begins anew."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        number = counts.total()
        if number:
            log.warning(
                "%d request%s without an account refused in the last minute (%s)",
                number,
                "" if number == 1 else "s",
                ", ".join(f"{status}: {count}" for status, count in sorted(counts.items())),
            )


def _in_a_thread(say: Callable[[], None]) -> None:
    timer = Timer(EVERY_S, say)
    timer.daemon = True
    timer.start()


def _refused_with(record: logging.LogRecord) -> int:
    """The status of a stranger's request; 0 for any other record."""
    if record.name == "uvicorn.error":
        return 400 if str(record.msg).startswith(_UVICORN_REFUSES) else 0
    if not record.name.startswith(("django.request", "django.security")):
        return 0
    status = getattr(record, "status_code", 0)
    if 400 <= status < 500 and not _has_account(getattr(record, "request", None)):
        return int(status)
    return 0


def _has_account(request: object) -> bool:
    """Whether it is known that somebody is signed in; nothing is looked up for the log's sake."""
    if not isinstance(request, HttpRequest):
        return False
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject):  # Django's middleware keeps here what it found
        user = request.__dict__.get("_cached_user")
    return bool(getattr(user, "is_authenticated", False))
