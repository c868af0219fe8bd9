"""POST and PATCH /crews under thousands of generated requests: never a crash, every refusal says
where and why, and what is accepted stays as it was written."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from tests.fuzz.case import Case
from tests.fuzz.codes import codes
from tests.fuzz.grammar import cases
from tests.fuzz.hostile import HOSTILE
from tests.fuzz.judge import Judge

SEED = 20261125

NOT_AT_SAVE = {
    "config_missing": "a crew with no text at all can be saved",
    "cycle": "dependencies are in features' metadata, which needs the registry",
    "not_found": "asks the registry",
    "feature_invalid": "metadata comes from the registry",
    "feature_deprecated": "metadata comes from the registry",
    "env_dropped": "metadata comes from the registry",
    "option_shadowed": "which options there are is in the metadata",
    "option_type": "which options there are is in the metadata",
    "option_undeclared": "which options there are is in the metadata",
    "label_ignored": "the label is the base image's, which is on the host",
    "lock_mismatch": "asks the registry",
    "too_many_layers": "the base image's layers are counted on the host",
}


def run(judge: Judge, requests: Iterable[Case]) -> None:
    """Sends the requests, then looks at the run as a whole."""
    started = time.perf_counter()
    for case in requests:
        judge.check(case)
    share = judge.accepted / judge.sent
    took = time.perf_counter() - started
    print(f"{judge.sent} requests in {took:.1f} s, {share:.0%} accepted, {dict(judge.codes)}")
    assert share >= 0.3
    assert set(codes()) - set(NOT_AT_SAVE) - set(judge.codes) == set()
    assert set(NOT_AT_SAVE) & set(judge.codes) == set()


@pytest.mark.timeout(120)
def test_1500_requests_are_answered_as_the_contract_says(judge: Judge) -> None:
    run(judge, cases(SEED, 1500))  # the hostile ones have tests of their own


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_20000_requests_are_answered_as_the_contract_says(judge: Judge) -> None:
    run(judge, (*HOSTILE, *cases(SEED, 20_000)))


def test_the_codes_of_other_times_are_still_made() -> None:
    assert set(NOT_AT_SAVE) - set(codes()) == set()
