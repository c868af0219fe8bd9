"""What a SQLite file takes of its disk, and giving back what it does not need any more.

A file that deleted rows left holes in keeps its size, unless it was made with
``auto_vacuum=INCREMENTAL``: then the holes can be cut off a few at a time (``give_back``). Ours are
made so since ``keep_room_countable`` runs before the first migration; one of an older version is
rewritten once (``rewrite``). Where the database is not SQLite, or in memory, nothing here does
anything. Source: https://www.sqlite.org/pragma.html#pragma_auto_vacuum
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.db import connection

from crewship.domain.errors import Unavailable

INCREMENTAL: Final = 2
PAGES_AT_ONCE: Final = 1000  # 4 MB: the write lock is held for that long
SPARE_BYTES: Final = 64_000_000  # beside what a rewrite needs
_CHECKPOINT_TRIES: Final = 5
_CHECKPOINT_WAIT_MS: Final = 500  # writers wait while it waits for readers
_LONGEST_REST_S: Final = 1.0


class NoRoomToRewrite(Unavailable):
    """The database's file can't be rewritten: its disk has too little room for a second and a
    third one."""

    code = "no_room_to_rewrite"
    hint = "Free space on the disk of the data directory, then run it again."


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of the database's file, of its write-ahead log, and of holes in the file.

    ``gives_back``: whether holes can be cut off without rewriting the file.
    """

    file_bytes: int
    log_bytes: int
    free_bytes: int
    gives_back: bool


def database_file() -> Path | None:
    """None where the database is no file of SQLite's."""
    if connection.vendor != "sqlite" or connection.is_in_memory_db():  # type: ignore[attr-defined]
        return None
    return Path(connection.settings_dict["NAME"])


def space() -> Space | None:
    file = database_file()
    if file is None:
        return None
    free = _number("freelist_count") * _number("page_size")
    log = file.with_name(f"{file.name}-wal")
    return Space(
        file_bytes=file.stat().st_size,
        log_bytes=log.stat().st_size if log.exists() else 0,
        free_bytes=free,
        gives_back=_number("auto_vacuum") == INCREMENTAL,
    )


def keep_room_countable() -> None:
    """A database without any table yet will be able to give back its holes. One that has tables
    stays as it is."""
    if database_file() is None or _number("auto_vacuum") == INCREMENTAL:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sqlite_master")
        if cursor.fetchone() == (0,):
            cursor.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
            cursor.execute("VACUUM")  # the file has a first page already, which says how it is


def give_back() -> None:
    """Holes are cut off the file, some at a time, and the write-ahead log is emptied.

    Nothing is cut off a file of an older version, nor within a transaction. What is written
    meanwhile waits for moments.
    """
    if database_file() is None or connection.in_atomic_block:
        return
    if _number("auto_vacuum") == INCREMENTAL:
        free = _number("freelist_count")
        while free:
            with paced(), connection.cursor() as cursor:
                cursor.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")
                cursor.fetchall()  # one page is cut off with each row
            before, free = free, _number("freelist_count")
            if free >= before:
                break  # others free more than we cut off; the next time will do
    _empty_log()


def rewrite() -> None:
    """The file is written anew without holes, and can give them back from now on.

    Others can read meanwhile, whoever writes waits: it takes as long as copying the data twice.
    Raises NoRoomToRewrite, and nothing happened.
    """
    file = database_file()
    if file is None:
        return
    _check_room(file)
    with _temporary_files_in(file.parent), connection.cursor() as cursor:
        cursor.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
        cursor.execute("VACUUM")
    _empty_log()


@contextmanager
def paced() -> Iterator[None]:
    """Rests afterwards for as long as the block took: SQLite's lock is given to no queue, so who
    takes it again at once would keep others from it."""
    began = time.monotonic()
    yield
    time.sleep(min(time.monotonic() - began, _LONGEST_REST_S))


def _check_room(file: Path) -> None:
    """A copy is made beside the file, and goes through the write-ahead log into it."""
    live = (_number("page_count") - _number("freelist_count")) * _number("page_size")
    needed = 2 * live + SPARE_BYTES
    free = shutil.disk_usage(file.parent).free
    if free < needed:
        raise NoRoomToRewrite(
            f"To rewrite {file.name} its disk must have {needed / 1e6:,.0f} MB free; "
            f"it has {free / 1e6:,.0f} MB."
        )


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """SQLite makes its copy there, not on whatever disk has /var/tmp."""
    name = "SQLITE_TMPDIR"
    usual = os.environ.get(name)
    os.environ[name] = str(folder)
    try:
        yield
    finally:
        if usual is None:
            del os.environ[name]
        else:
            os.environ[name] = usual


def _empty_log() -> None:
    """As well as readers let it: one that reads on in an old state keeps the log for itself."""
    usual = _number("busy_timeout")
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout={_CHECKPOINT_WAIT_MS}")
        try:
            for _ in range(_CHECKPOINT_TRIES):
                with paced():
                    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    busy = cursor.fetchone()[0]
                if not busy:
                    return
        finally:
            cursor.execute(f"PRAGMA busy_timeout={usual}")


def _number(pragma: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {pragma}")
        return int(cursor.fetchone()[0])
