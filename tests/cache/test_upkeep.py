"""What fails stops only itself, is noted once, and is tried again later."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from cache import upkeep as module
from cache.models import DockerHost, UpkeepProblem
from cache.upkeep import Kind, Upkeep, attempt
from crewship.domain.errors import EngineError, EngineUnreachable
from crewship.engine.fake import FakeEngine

pytestmark = pytest.mark.django_db


class Work:
    """Done, or raises the next error of those given."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def broken(text: str = "driver failed") -> EngineError:
    return EngineError(text)


def due() -> None:
    """All pauses are over."""
    UpkeepProblem.objects.update(retry_at=timezone.now() - timedelta(seconds=1))


def test_a_failure_is_noted_and_goes_no_further(host: DockerHost) -> None:
    assert attempt(Kind.CONTAINER, "a", Work(broken()), host) is False
    found = UpkeepProblem.objects.get()
    assert (found.host, found.kind, found.name) == (host, "remove build container", "a")
    assert (found.error, found.code, found.tries) == ("driver failed", "engine_error", 1)
    assert found.first_at == found.last_at
    assert found.retry_at - found.last_at == timedelta(seconds=10)


def test_what_comes_after_it_is_done(host: DockerHost) -> None:
    good = Work()
    with Upkeep(Kind.CONTAINER, host) as upkeep:
        upkeep.attempt("bad", Work(broken()))
        assert upkeep.attempt("good", good) is True
    assert good.calls == 1


def test_a_bug_in_one_is_that_ones_as_well(host: DockerHost) -> None:
    assert attempt(Kind.JOB, "job_a", Work(KeyError("state"))) is False
    found = UpkeepProblem.objects.get()
    assert (found.host, found.error, found.code) == (None, "KeyError: 'state'", "internal")


def test_it_is_left_alone_until_its_time_has_come(host: DockerHost) -> None:
    attempt(Kind.CONTAINER, "a", Work(broken()), host)
    again = Work()
    assert attempt(Kind.CONTAINER, "a", again, host) is False
    assert again.calls == 0
    due()
    assert attempt(Kind.CONTAINER, "a", again, host) is True
    assert again.calls == 1
    assert not UpkeepProblem.objects.exists()


def test_pauses_double_up_to_ten_minutes(host: DockerHost) -> None:
    pauses = []
    for _ in range(9):
        due()
        attempt(Kind.CONTAINER, "a", Work(broken()), host)
        found = UpkeepProblem.objects.get()
        pauses.append((found.retry_at - found.last_at).total_seconds())
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert found.tries == 9
    assert found.first_at < found.last_at


def test_a_clock_that_was_set_back_makes_nothing_wait(host: DockerHost) -> None:
    attempt(Kind.CONTAINER, "a", Work(broken()), host)
    UpkeepProblem.objects.update(retry_at=timezone.now() + timedelta(days=300))
    assert attempt(Kind.CONTAINER, "a", Work(), host) is True


def test_it_is_logged_when_it_begins_and_when_it_ends(
    host: DockerHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="cache.upkeep")
    for _ in range(3):
        due()
        attempt(Kind.CONTAINER, "a", Work(broken()), host)
    due()
    attempt(Kind.CONTAINER, "a", Work(), host)
    assert [record.getMessage() for record in caplog.records] == [
        "remove build container a: failed, is tried again later: driver failed",
        "remove build container a: done at last, after 3 failures",
    ]


def test_the_last_error_is_shown(host: DockerHost) -> None:
    attempt(Kind.CONTAINER, "a", Work(broken("first")), host)
    due()
    attempt(Kind.CONTAINER, "a", Work(broken("second")), host)
    assert UpkeepProblem.objects.get().error == "second"


def test_problems_of_things_that_are_gone_are_forgotten(host: DockerHost) -> None:
    attempt(Kind.CONTAINER, "gone", Work(broken()), host)
    attempt(Kind.DRAFT, "other kind", Work(broken()), host)
    with Upkeep(Kind.CONTAINER, host) as upkeep:
        upkeep.attempt("there", Work())
    assert [found.name for found in UpkeepProblem.objects.all()] == ["other kind"]


def test_a_round_that_was_cut_short_forgets_nothing(host: DockerHost) -> None:
    attempt(Kind.CONTAINER, "a", Work(broken()), host)
    with pytest.raises(OperationalError), Upkeep(Kind.CONTAINER, host) as upkeep:
        upkeep.attempt("b", Work(OperationalError("away")))
    assert UpkeepProblem.objects.get().name == "a"


def test_two_hosts_have_their_own(host: DockerHost) -> None:
    other = DockerHost.objects.create(name="other")
    for one in (host, other, None):
        attempt(Kind.CONTAINER, "a", Work(broken()), one)
    assert UpkeepProblem.objects.count() == 3


def test_an_engine_that_is_away_is_nobodys_fault(host: DockerHost, engine: FakeEngine) -> None:
    engine.unreachable = True
    with pytest.raises(EngineUnreachable):
        attempt(Kind.CONTAINER, "a", engine.ping, host, engine)
    assert not UpkeepProblem.objects.exists()


def test_one_call_that_hangs_on_an_engine_that_answers_is_that_ones(
    host: DockerHost, engine: FakeEngine
) -> None:
    hangs = Work(EngineUnreachable("did not answer in time"))
    assert attempt(Kind.CONTAINER, "a", hangs, host, engine) is False
    assert UpkeepProblem.objects.get().code == "engine_unreachable"


def test_long_and_unprintable_texts_are_stored(host: DockerHost) -> None:
    attempt(Kind.CONTAINER, "n" * 300, Work(broken("a\0b\udcff" + "x" * 1000)), host)
    found = UpkeepProblem.objects.get()
    assert found.error.startswith("ab?x")
    assert (len(found.error), len(found.name)) == (500, 200)
    due()
    assert attempt(Kind.CONTAINER, "n" * 300, Work(), host) is True
    assert not UpkeepProblem.objects.exists()


def test_the_table_is_bounded(host: DockerHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 3)
    tried = [Work(broken(), broken()) for _ in range(5)]
    for _ in range(2):
        with Upkeep(Kind.CONTAINER, host) as upkeep:
            for number, work in enumerate(tried):
                upkeep.attempt(str(number), work)
    assert UpkeepProblem.objects.count() == 3
    assert [work.calls for work in tried] == [1, 1, 1, 2, 2]
