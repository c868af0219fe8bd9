"""A SQLite file gives back what it does not need, and says so when it can't."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from crewship.web import sqlite_space
from crewship.web.sqlite_space import (
    NoRoomToRewrite,
    give_back,
    keep_room_countable,
    rewrite,
    space,
)

MB = 1024 * 1024
ONE_MB = "INSERT INTO t VALUES (randomblob(1048576))"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def file(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    """An own database of the test, with the options of an installation's; not made yet."""
    usual, settings = connections["default"], connections.settings["default"]
    path = tmp_path / "own.sqlite3"
    with django_db_blocker.unblock():
        connections.settings["default"] = {**settings, "NAME": path}
        del connections["default"]
        try:
            yield path
        finally:
            connections["default"].close()
            connections.settings["default"] = settings
            connections["default"] = usual


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)


def fill_and_empty(megabytes: int = 8) -> None:
    run(
        "CREATE TABLE IF NOT EXISTS t (data BLOB)",
        *[ONE_MB] * megabytes,
        "DELETE FROM t",
    )


def now() -> sqlite_space.Space:
    found = space()
    assert found is not None
    return found


def test_a_new_file_shrinks(file: Path) -> None:
    keep_room_countable()
    fill_and_empty()
    assert now().free_bytes > 7 * MB
    give_back()
    after = now()
    assert after.gives_back
    assert (after.free_bytes, after.log_bytes) == (0, 0)
    assert after.file_bytes < 100_000


def test_a_file_with_tables_stays_as_it_is(file: Path) -> None:
    run("CREATE TABLE t (data BLOB)")
    keep_room_countable()
    fill_and_empty()
    give_back()
    after = now()
    assert not after.gives_back
    assert after.free_bytes > 7 * MB
    assert after.log_bytes == 0


def test_a_rewritten_file_shrinks_then_and_later(file: Path) -> None:
    run("CREATE TABLE t (data BLOB)")
    fill_and_empty()
    rewrite()
    assert now().gives_back
    assert now().file_bytes < 100_000
    fill_and_empty()
    give_back()
    assert now().file_bytes < 100_000


def test_without_room_nothing_is_rewritten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("CREATE TABLE t (data BLOB)")
    fill_and_empty()
    run(ONE_MB)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: Usage(9, 9, 2 * MB))
    before = now()
    with pytest.raises(NoRoomToRewrite, match="must have 66 MB free; it has 2 MB"):
        rewrite()
    assert now() == before


def test_a_reader_in_an_old_state_keeps_nobody_from_the_rest(file: Path) -> None:
    keep_room_countable()
    fill_and_empty()
    reader = sqlite3.connect(file)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t").fetchone()
        give_back()
        assert now().free_bytes == 0
    finally:
        reader.close()
    give_back()
    assert now().log_bytes == 0


def test_the_usual_wait_for_a_lock_is_kept(file: Path) -> None:
    def waits() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            return cursor.fetchone()[0]

    usual = waits()
    give_back()
    assert waits() == usual
