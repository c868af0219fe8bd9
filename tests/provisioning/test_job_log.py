"""The log of a job in the database: its beginning, its end, and one gap between."""

from __future__ import annotations

import dataclasses
import json
from threading import Event
from typing import Any

import pytest
from django.db import DatabaseError
from pytest_django.asserts import assertNumQueries

from provisioning import history, job_log, transitions
from provisioning.emitter import EventEmitter
from provisioning.history import event_json, events_from, log_before
from provisioning.models import JobEvent, ProvisionJob
from provisioning.selectors import log_lines, log_tail
from provisioning.states import EventKind, JobState
from provisioning.transitions import record
from tests.cast import Cast
from tests.conftest import JobMaker

MB = 1024 * 1024


@pytest.fixture
def job(cast: Cast, make_job: JobMaker, settings: Any) -> ProvisionJob:
    """A running job that may keep 1 MiB of output."""
    limits = dataclasses.replace(settings.CREWSHIP.limits, job_log_mb=1)
    settings.CREWSHIP = dataclasses.replace(settings.CREWSHIP, limits=limits)
    return make_job(cast.crew, JobState.RUNNING)


def emitter(job: ProvisionJob) -> EventEmitter:
    return EventEmitter(job_id=job.pk, fence=job.fence, lost=Event())


def numbered(first: int, count: int, size: int = 990) -> list[str]:
    return [f"{n:0{size}}" for n in range(first, first + count)]


def flood(emit: EventEmitter, megabytes: int, first: int = 0, flush_every: int = 100) -> int:
    """How many lines were printed."""
    lines = numbered(first, megabytes * 1000 * 1000 // 991)
    for at in range(0, len(lines), flush_every):
        emit.output(lines[at : at + flush_every])
        emit._write()
    emit.flush()
    return len(lines)


def output(job: ProvisionJob) -> list[str]:
    rows = job.events.filter(kind=EventKind.OUTPUT).order_by("seq")
    return [line for row in rows for line in row.data["lines"]]


def gap(job: ProvisionJob) -> JobEvent:
    return job.events.get(kind=EventKind.LOG_GAP)


def stored_bytes(job: ProvisionJob) -> int:
    return sum(
        len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
        for data in job.events.filter(kind=EventKind.OUTPUT).values_list("data", flat=True)
    )


@pytest.mark.parametrize("flush_every", [10, 100, 5000])
def test_a_quarter_from_the_beginning_and_the_rest_from_the_end_stay(
    job: ProvisionJob, flush_every: int
) -> None:
    printed = flood(emitter(job), 4, flush_every=flush_every)
    kept = [int(line) for line in output(job)]
    head = next(n for n, line in enumerate(kept) if line != n)
    assert kept[head:] == list(range(printed - len(kept) + head, printed))
    assert abs(head * 993 - MB // 4) < 66_000
    assert abs((len(kept) - head) * 993 - MB * 3 // 4) < 66_000
    assert stored_bytes(job) <= MB


def test_the_gap_says_exactly_what_is_missing(job: ProvisionJob) -> None:
    printed = flood(emitter(job), 4)
    missing = printed - len(output(job))
    assert gap(job).data == {"lines": missing, "bytes": missing * 991}


@pytest.mark.parametrize("text", ["é", "語", "😀", '"', "\x1b[m", ""])
def test_no_text_takes_more_than_the_bound(job: ProvisionJob, text: str) -> None:
    emit = emitter(job)
    for _ in range(60):
        emit.output([text * 200] * 400 if text else [text] * 40_000)
        emit._write()
    emit.flush()
    assert gap(job).data["lines"] > 0
    assert MB * 0.9 < stored_bytes(job) <= MB


def test_a_log_within_the_bound_is_whole(job: ProvisionJob) -> None:
    emit = emitter(job)
    emit.output(numbered(0, 1000))
    emit.flush()
    assert output(job) == numbered(0, 1000)
    assert not job.events.filter(kind=EventKind.LOG_GAP).exists()


def test_only_output_goes(job: ProvisionJob) -> None:
    emit = emitter(job)
    first = 0
    for step in range(1, 7):
        emit.step(step, f"step {step}")
        emit.system(f"in {step}")
        first += flood(emit, 1, first)
    emit.all_done()
    emit.flush()
    kinds = list(job.events.values_list("kind", flat=True))
    assert kinds.count(EventKind.STEP_STARTED) == kinds.count(EventKind.STEP_DONE) == 6
    assert kinds.count(EventKind.SYSTEM) == 6
    assert kinds.count(EventKind.LOG_GAP) == 1


@pytest.mark.parametrize("where", ["in the head", "in the gap", "at its last", "at the end"])
def test_who_reads_on_meets_the_gap_once_or_never(job: ProvisionJob, where: str) -> None:
    flood(emitter(job), 4)
    job.refresh_from_db()
    edge = gap(job).seq
    seq = {"in the head": 2, "in the gap": edge - 1, "at its last": edge, "at the end": edge + 3}
    found: list[JobEvent] = []
    more, place = True, seq[where]
    while more:
        events, more = events_from(job.pk, place)
        found += events
        place = events[-1].seq
    gaps = [event for event in found if event.kind == EventKind.LOG_GAP]
    assert len(gaps) == (1 if seq[where] < edge else 0)
    later = [event.seq for event in found if event.seq > edge]
    assert later == list(range(max(edge, seq[where]) + 1, job.last_seq + 1))


def test_a_batch_is_trimmed_in_few_statements(job: ProvisionJob) -> None:
    emit = emitter(job)
    flood(emit, 2)
    emit.output(numbered(0, 60))
    with assertNumQueries(7):  # as without (5), and one that deletes, one that writes the gap
        emit.flush()


def test_another_worker_continues_the_same_log(job: ProvisionJob) -> None:
    printed = flood(emitter(job), 4)
    head = output(job)[:200]
    missing = gap(job).data["lines"]
    printed += flood(emitter(job), 2, printed)
    kept = output(job)
    assert kept[:200] == head
    assert kept[-1] == numbered(printed - 1, 1)[0]
    assert gap(job).data["lines"] == printed - len(kept) > missing
    assert stored_bytes(job) <= MB


def test_another_worker_continues_a_head_that_has_room(job: ProvisionJob) -> None:
    emit = emitter(job)
    emit.output(numbered(0, 100))
    emit.flush()
    flood(emitter(job), 4, 100)
    kept = [int(line) for line in output(job)]
    head = next(n for n, line in enumerate(kept) if line != n)
    assert 200 <= head <= 265


def test_a_flood_while_the_database_is_away_loses_its_middle_only(
    job: ProvisionJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit = emitter(job)
    flood(emit, 2)
    real = transitions.append

    def away(*_args: Any, **_fields: Any) -> int | None:
        raise DatabaseError("gone")

    monkeypatch.setattr(job_log, "append", away)
    printed = 2018 + flood(emit, 6, 2018)
    emit.system("said meanwhile")
    monkeypatch.setattr(job_log, "append", real)
    emit.flush()
    kept = output(job)
    assert [int(line) for line in kept[-600:]] == list(range(printed - 600, printed))
    assert gap(job).data["lines"] == printed - len(kept)
    assert stored_bytes(job) <= MB
    assert "said meanwhile" in list(log_lines(job))


def test_a_failed_batch_changes_nothing(job: ProvisionJob, monkeypatch: pytest.MonkeyPatch) -> None:
    emit = emitter(job)
    flood(emit, 2)
    before = output(job), gap(job).seq, gap(job).data
    emit.output(numbered(5000, 200))
    with monkeypatch.context() as patch:
        patch.setattr(job_log.StoredLog, "_cut", _refused)
        emit.flush()
    assert (output(job), gap(job).seq, gap(job).data) == before
    emit.flush()
    assert output(job)[-1] == numbered(5199, 1)[0]


def _refused(*_args: object) -> None:
    raise DatabaseError("gone")


def test_a_job_taken_away_is_not_trimmed(job: ProvisionJob) -> None:
    emit = emitter(job)
    flood(emit, 2)
    before = output(job)
    ProvisionJob.objects.filter(pk=job.pk).update(fence=job.fence + 1)
    flood(emit, 2)
    assert output(job) == before


# -- reading it
def test_the_whole_log_says_in_one_line_what_is_missing(job: ProvisionJob) -> None:
    printed = flood(emitter(job), 4)
    lines = list(log_lines(job))
    said = [line for line in lines if not line.startswith("| ")]
    missing = printed - len(output(job))
    text = f"Missing here: {missing} lines, {missing * 991} bytes. The log was too long."
    assert said == [text]
    assert lines[0] == f"| {numbered(0, 1)[0]}"


def test_portions_are_bounded_by_bytes(job: ProvisionJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PORTION_BYTES", 300_000)
    emit = emitter(job)
    flood(emit, 4)
    seq, more, portions = 0, True, 0
    while more:
        events, more = events_from(job.pk, seq)
        assert sum(len(json.dumps(event_json(e), default=str)) for e in events) <= 300_000
        seq, portions = events[-1].seq, portions + 1
    assert seq == job.events.latest("seq").seq
    assert 4 <= portions <= 6


def test_rows_of_an_older_version_are_read_one_by_one(job: ProvisionJob) -> None:
    old = (EventKind.OUTPUT, 1, {"lines": ["x" * 4000] * 200})
    record(job.pk, [old] * 5)
    seqs = []
    seq, more = 0, True
    while more:
        events, more = events_from(job.pk, seq)
        seqs.append([event.seq for event in events])
        seq = events[-1].seq
    assert seqs == [[1], [2], [3], [4], [5]]
    assert [e.seq for e in log_before(job, None, 1000).events] == [5]


def test_the_tail_is_read_from_the_last_rows(job: ProvisionJob) -> None:
    emit = emitter(job)
    printed = flood(emit, 4)
    with assertNumQueries(1):
        tail = log_tail(job)
    assert tail == [f"| {line}"[:500] for line in numbered(printed - 50, 50)]


def test_the_tail_of_long_lines_reads_little_more_than_it_shows(
    job: ProvisionJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit = emitter(job)
    emit.output(["x" * 4000] * 250)
    emit.flush()
    read: list[int] = []
    real = JobEvent.from_db.__func__  # type: ignore[attr-defined]  # a class method's function

    def counted(cls: type[JobEvent], db: Any, names: Any, values: Any) -> JobEvent:
        event: JobEvent = real(cls, db, names, values)
        read.append(len(json.dumps(event.data)))
        return event

    monkeypatch.setattr(JobEvent, "from_db", classmethod(counted))
    assert len(log_tail(job)) == 50
    assert sum(read) < 1_000_000
