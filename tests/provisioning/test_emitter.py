"""From the pipeline's news to events: batched, capped, in order, fenced."""

from __future__ import annotations

from threading import Event, Thread
from typing import Any

import pytest
from django.db import DatabaseError
from pytest_django.asserts import assertNumQueries

from crewship.devcontainer.types import LayerKind, LayerPlan
from provisioning import emitter, job_log, transitions
from provisioning.emitter import EventEmitter
from provisioning.job_log import StoredLog
from provisioning.log_buffer import CHUNK_LINES, Entry
from provisioning.models import JobEvent, ProvisionJob
from provisioning.states import EventKind, JobState
from tests.cast import Cast
from tests.conftest import JobMaker


@pytest.fixture
def job(cast: Cast, make_job: JobMaker) -> ProvisionJob:
    return make_job(cast.crew, JobState.RUNNING)


@pytest.fixture
def emit(job: ProvisionJob) -> EventEmitter:
    """Not entered: its thread does not run, and tests flush by hand."""
    return EventEmitter(job_id=job.pk, fence=job.fence, lost=Event())


def events() -> list[tuple[str, int, Any]]:
    return list(JobEvent.objects.order_by("seq").values_list("kind", "step", "data"))


def test_nothing_is_written_before_a_flush(emit: EventEmitter) -> None:
    emit.system("hello")
    assert events() == []
    emit.flush()
    assert events() == [(EventKind.SYSTEM, 0, {"text": "hello"})]


def test_steps_are_started_and_done(emit: EventEmitter) -> None:
    emit.step(1, "checking")
    emit.step(2, "fetching")
    emit.all_done()
    emit.flush()
    assert events() == [
        (EventKind.STEP_STARTED, 1, {"message": "checking"}),
        (EventKind.STEP_DONE, 1, {}),
        (EventKind.STEP_STARTED, 2, {"message": "fetching"}),
        (EventKind.STEP_DONE, 2, {}),
    ]


def test_the_job_shows_step_and_message(emit: EventEmitter, job: ProvisionJob) -> None:
    emit.step(3, "installing")
    emit.message("installing (2 of 3: node)")
    emit.flush()
    job.refresh_from_db()
    assert (job.step, job.message) == (3, "installing (2 of 3: node)")


def test_watchers_hear_the_last_message_of_a_batch(emit: EventEmitter, job: ProvisionJob) -> None:
    emit.step(2, "fetching")
    emit.message("pulled 1 %")
    emit.message("pulled 2 %")
    emit.flush()
    last = job.events.latest("seq")
    assert (last.seq, last.kind, last.step) == (2, EventKind.STEP_MESSAGE, 2)
    assert last.data == {"message": "pulled 2 %"}


def test_a_message_fits_its_column(emit: EventEmitter, job: ProvisionJob) -> None:
    emit.message("m" * 1000)
    emit.flush()
    job.refresh_from_db()
    assert len(job.message) == 300


def test_lines_share_rows(emit: EventEmitter) -> None:
    for n in range(CHUNK_LINES + 1):
        emit.output([str(n)])
    emit.flush()
    first, second = events()
    assert (len(first[2]["lines"]), second[2]["lines"]) == (CHUNK_LINES, [str(CHUNK_LINES)])


def test_a_system_line_stands_between_the_output_around_it(emit: EventEmitter) -> None:
    emit.output(["a"])
    emit.system("s")
    emit.output(["b"])
    emit.flush()
    assert [kind for kind, _, _ in events()] == [
        EventKind.OUTPUT,
        EventKind.SYSTEM,
        EventKind.OUTPUT,
    ]


def test_a_flood_is_one_transaction_of_few_statements(emit: EventEmitter) -> None:
    for n in range(5000):
        emit.output([str(n)])
    with assertNumQueries(5):  # savepoint, number, last number, rows, release
        emit.flush()


def test_what_crewship_says_is_bounded_and_says_so(
    emit: EventEmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emitter, "SYSTEM_LINES", 3)
    emit.system("1\n2\n3\n4\n5")
    emit.system("6")
    emit.output(["still kept"])
    emit.flush()
    texts = [data["text"] for kind, _, data in events() if kind == EventKind.SYSTEM]
    assert texts[:3] == ["1", "2", "3"]
    assert texts[3:] == ["crewship has said too much here: what it says from now on is not kept"]
    assert events()[-1][2] == {"lines": ["still kept"]}


def test_what_crewship_says_is_bounded_in_bytes(
    emit: EventEmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emitter, "SYSTEM_BYTES", 1000)
    for _ in range(5):
        emit.system("é" * 200)
    emit.flush()
    first, second, said = [data["text"] for _, _, data in events()]
    assert (first, second) == ("é" * 200, "é" * 200)
    assert said.startswith("crewship has said too much")


def test_an_error_is_bounded(emit: EventEmitter) -> None:
    emit.step_failed("x\n" * 100_000)
    emit.flush()
    assert len(events()[0][2]["error"]) == emitter.ERROR_CHARACTERS


def test_a_flood_is_written_in_batches(emit: EventEmitter, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = transitions.append

    def counted(job_id: str, batch: Any, **fields: Any) -> int | None:
        sizes.append(sum(len(line) for _, _, data in batch for line in data["lines"]))
        return real(job_id, batch, **fields)

    monkeypatch.setattr(job_log, "append", counted)
    emit.output(["x" * 4000] * 1000)
    emit.flush()
    assert sum(sizes) == 4_000_000
    assert max(sizes) <= emitter.BATCH_BYTES


def test_a_layer_is_an_event(emit: EventEmitter) -> None:
    plan = LayerPlan(LayerKind.FEATURE, "node:1", "k" * 64, {})
    emit.layer(plan, hit=True, seconds=1.234)
    emit.flush()
    assert events()[0][2] == {
        "kind": "feature",
        "label": "node:1",
        "key": "k" * 64,
        "hit": True,
        "seconds": 1.23,
    }


@pytest.mark.parametrize("change", [{"state": JobState.CANCELLED}, {"fence": 2}])
def test_a_job_taken_away_sets_lost_and_writes_nothing(
    change: dict[str, Any], job: ProvisionJob
) -> None:
    lost = Event()
    emit = EventEmitter(job_id=job.pk, fence=job.fence, lost=lost)
    ProvisionJob.objects.filter(pk=job.pk).update(**change)
    emit.step(1, "x")
    emit.flush()
    assert lost.is_set()
    assert events() == []
    assert ProvisionJob.objects.get().step == 0


def test_a_database_that_is_away_loses_no_line(
    emit: EventEmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = transitions.append

    def away(*_args: Any, **_fields: Any) -> int | None:
        raise DatabaseError("database is locked")

    emit.step(1, "first")
    monkeypatch.setattr(job_log, "append", away)
    emit.flush()
    emit.system("second")
    emit.message("newer")
    monkeypatch.setattr(job_log, "append", real)
    emit.flush()
    assert [kind for kind, _, _ in events()] == [
        EventKind.STEP_STARTED,
        EventKind.SYSTEM,
        EventKind.STEP_MESSAGE,
    ]
    job = ProvisionJob.objects.get()
    assert (job.step, job.message) == (1, "newer")


def test_two_flushes_at_once_write_in_order(
    emit: EventEmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last flush of a job must not overtake its thread's, nor return before it."""
    written: list[str] = []
    slow, entered = Event(), Event()

    def write(_log: StoredLog, batch: list[Entry], **_fields: Any) -> bool:
        entered.set()
        if batch[0].data["text"] == "first":
            slow.wait(5)
        written.append(batch[0].data["text"])
        return True

    monkeypatch.setattr(StoredLog, "write", write)
    emit.system("first")
    one = Thread(target=emit.flush)
    one.start()
    entered.wait(5)
    emit.system("second")
    two = Thread(target=emit.flush)
    two.start()
    two.join(0.1)
    slow.set()
    one.join(5)
    two.join(5)
    assert written == ["first", "second"]


@pytest.mark.django_db(transaction=True)
def test_its_thread_writes_by_itself_and_ends(job: ProvisionJob) -> None:
    lost = Event()
    with EventEmitter(job_id=job.pk, fence=job.fence, lost=lost) as emit:
        emit.system("hello")
    assert events() == [(EventKind.SYSTEM, 0, {"text": "hello"})]
    assert not lost.is_set()
