"""The soak's verdict on what was measured."""

from __future__ import annotations

from tests.soak.soak import Measured, Report
from tests.soak.work import Amount

FILES = {"database": 1_000_000, "largest log": 1_000, "Redis' data": 0, "store": 0}


def _report(*memory: dict[str, int], database: int = 1_000_000) -> Report:
    files = {**FILES, "database": database}
    measured = [Measured(n, n * 10.0, kb, files) for n, kb in enumerate(memory, start=1)]
    return Report(Amount(rounds=len(memory)), measured)


def test_a_process_within_ten_percent_is_no_problem() -> None:
    assert _report({"web": 100_000}, {"web": 109_000}).problems() == []


def test_a_process_that_grew_by_more_is_named() -> None:
    [problem] = _report({"web": 100_000}, {"web": 111_000}).problems()
    assert problem == "web grew from 100000 to 111000 KB"


def test_a_small_process_may_grow_by_some_pages() -> None:
    assert _report({"redis": 4_000}, {"redis": 5_500}).problems() == []


def test_a_process_that_is_gone_is_named() -> None:
    assert _report({"web": 1, "watcher": 1}, {"web": 1}).problems() == ["watcher is gone"]


def test_a_database_beyond_what_the_work_explains_is_named() -> None:
    [problem] = _report({"web": 1}, {"web": 1}, database=10**9).problems()
    assert problem.startswith("database: 1000000000 bytes")
