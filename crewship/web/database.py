"""A database that is away for a moment: which errors say so, and waiting until it is back.

A session that the server ended (failover, restart, ``pg_terminate_backend``) leaves a thread with
a dead connection. Threads that keep one close it with ``close_connection`` at any error of the
database, and get a new one with their next query.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from threading import Event
from typing import Final, TypeVar

from django.db import InterfaceError, OperationalError, connection

from crewship.domain.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_S: Final = 120.0  # how long a job waits for a database that is away
_PAUSE_S: Final = 0.5
# SQLite calls its faults of SQL (no such table) operational, too: only these are the weather's.
_SQLITE_AWAY: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or is too busy to write. Whether a request that changes
    something was carried out is not known: look before you send it again."""

    code = "database_unavailable"
    hint = "Try again in a few seconds; if it stays, look at the database and its disk."
    retry_after_s: Final = 5

    def __init__(self) -> None:
        super().__init__("The database does not answer.")


def is_away(error: BaseException | None) -> bool:
    """Whether the error says that the database can't be used now, and that the same may well work
    in a moment: no connection, a lost one, a lock that was waited for too long, a full disk."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        code: int = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return code & 0xFF in _SQLITE_AWAY
    return True


def close_connection() -> None:
    """This thread's next query has a new connection. Nothing happens within a transaction: whoever
    began that one ends it, and a lost connection with it."""
    if not connection.in_atomic_block:
        connection.close()


def wait_for_database(
    work: Callable[[], T], *, stop: Event | None = None, patience_s: float = PATIENCE_S
) -> T:
    """What ``work`` returns. While the database is away it is called again, each time with a new
    connection, for ``patience_s`` seconds or until ``stop`` is set; then the error is raised.

    ``work`` has its own transaction, and may run again although the first one was committed: the
    connection may be lost before the answer comes.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as err:
            # Within somebody's transaction nothing can be done again.
            given_up = connection.in_atomic_block or time.monotonic() > deadline
            if given_up or not is_away(err) or (stop is not None and stop.is_set()):
                raise
            log.warning("the database does not answer, trying again: %s", err)
            close_connection()
            if stop is None:
                time.sleep(_PAUSE_S)
            else:
                stop.wait(_PAUSE_S)


class OutageFilter(logging.Filter):
    """A database that is away is a line of the log for each request, not a trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if is_away(error):
            record.msg = f"{record.getMessage()}: the database does not answer: {error}"
            record.args, record.exc_info, record.exc_text = (), None, None
        return True
