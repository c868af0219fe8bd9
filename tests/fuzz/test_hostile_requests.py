"""Sizes, depths and bytes that break readers: each is answered in time, and as it should be."""

from __future__ import annotations

import pytest

from tests.conftest import Api
from tests.fuzz.case import Case, body_of
from tests.fuzz.hostile import HOSTILE
from tests.fuzz.judge import Judge
from tests.problem import problem

# A guard against hangs, not a measurement: the machine may be busy.
pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name.replace(" ", "-"))
def test_a_hostile_request_is_answered_as_it_should_be(case: Case, judge: Judge) -> None:
    judge.check(case)


def test_a_body_above_the_limit_is_refused_unread(api: Api) -> None:
    body = body_of({"name": "x", "slug": "xx", "more": "x" * 2_000_000})
    problem(api.mona.raw("/crews", body, "application/json"), 413, "too_large")
