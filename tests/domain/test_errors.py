from __future__ import annotations

from collections.abc import Iterator

import pytest

from crewship.domain import errors
from crewship.domain.errors import CapacityExceeded, ConfigInvalid, CrewshipError, Problem


def tree(cls: type[CrewshipError]) -> Iterator[type[CrewshipError]]:
    for leaf in cls.__subclasses__():
        yield leaf
        yield from tree(leaf)


LEAVES = [cls for cls in tree(CrewshipError) if cls.__module__ == errors.__name__]


@pytest.mark.parametrize("cls", LEAVES, ids=lambda cls: cls.__name__)
def test_every_error_has_a_code_of_its_own_words(cls: type[CrewshipError]) -> None:
    assert cls.code != "internal"
    assert cls.code == cls.code.lower()
    assert " " not in cls.code


def test_an_instance_may_be_more_exact_than_its_class() -> None:
    error = CrewshipError("m", code="exact", hint="do that", extra={"a": 1})
    assert (error.error_code, error.error_hint, error.extra) == ("exact", "do that", {"a": 1})
    assert str(error) == "m"


def test_all_problems_are_kept_and_the_text_stays_short() -> None:
    error = ConfigInvalid([Problem(f"p{n}", "c", "bad") for n in range(5)])
    assert len(error.extra["errors"]) == 5
    assert str(error) == "p0: bad; p1: bad; p2: bad (and 2 more)"


def test_a_problem_with_a_line_has_a_column_too() -> None:
    assert Problem("", "c", "m", 3, 4).as_dict() == {
        "path": "",
        "code": "c",
        "message": "m",
        "line": 3,
        "column": 4,
    }


def test_capacity_says_when_to_come_back() -> None:
    assert CapacityExceeded("m", retry_after_s=7).error_hint == "Try again in 7 s."
