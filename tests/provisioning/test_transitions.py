"""The whole NEXT table, legal and illegal, and who may write a job's state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provisioning.models import JobEvent, ProvisionJob
from provisioning.states import ACTIVE, NEXT, EventKind, JobState
from provisioning.transitions import StaleJobState, advance, record
from tests.cast import Cast
from tests.conftest import JobMaker

LEGAL = [(source, target) for source in JobState for target in NEXT[source]]
ILLEGAL = [(s, t) for s in JobState for t in JobState if t not in NEXT[s]]
ROOT = Path(__file__).parents[2]


def test_the_table_is_architectures() -> None:
    ended = {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}
    assert NEXT[JobState.PENDING] == {JobState.RUNNING, *ended}
    assert NEXT[JobState.RUNNING] == {JobState.PENDING, *ended}
    assert all(NEXT[state] == set() for state in ended)
    assert {state for state in JobState if NEXT[state]} == ACTIVE


@pytest.mark.parametrize(("source", "target"), LEGAL)
def test_a_legal_edge_is_taken_and_recorded(
    source: JobState, target: JobState, cast: Cast, make_job: JobMaker
) -> None:
    job = advance(
        make_job(cast.crew, source, last_seq=4), target, data={"a": 1}, message="m", step=2
    )
    assert (job.state, job.message, job.last_seq) == (target, "m", 5)
    event = JobEvent.objects.get()
    assert (event.seq, event.kind, event.step) == (5, EventKind.STATE, 2)
    assert event.data == {"state": target.value, "a": 1}


@pytest.mark.parametrize(("source", "target"), ILLEGAL)
def test_an_illegal_edge_changes_nothing(
    source: JobState, target: JobState, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, source)
    with pytest.raises(StaleJobState):
        advance(job, target, message="changed")
    job.refresh_from_db()
    assert (job.state, job.message) == (source, "")
    assert not JobEvent.objects.exists()


def test_a_wrong_fence_changes_nothing(cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.RUNNING, fence=3)
    with pytest.raises(StaleJobState):
        advance(job, JobState.COMPLETED, guard=2)
    assert advance(job, JobState.COMPLETED, guard=3).state == JobState.COMPLETED


def test_a_row_that_is_gone_is_stale(cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew)
    ProvisionJob.objects.all().delete()
    with pytest.raises(StaleJobState):
        advance(job, JobState.RUNNING)


def test_events_are_numbered_without_gaps(cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew)
    advance(job, JobState.RUNNING)
    record(job.pk, [(EventKind.SYSTEM, 1, {"text": "a"}), (EventKind.SYSTEM, 1, {"text": "b"})])
    record(job.pk, [], message="only a field")
    record(job.pk, [(EventKind.SYSTEM, 1, {"text": "c"})])
    assert list(job.events.values_list("seq", flat=True)) == [1, 2, 3, 4]
    assert ProvisionJob.objects.get().message == "only a field"


@pytest.mark.parametrize(
    ("state", "fence"),
    [(JobState.RUNNING, 2), (JobState.PENDING, 1), (JobState.CANCELLED, 1)],
)
def test_a_worker_that_lost_its_job_records_nothing(
    state: JobState, fence: int, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, state, fence=fence)
    assert record(job.pk, [(EventKind.SYSTEM, 1, {"text": "a"})], guard=1, message="x") is False
    assert not JobEvent.objects.exists()
    assert ProvisionJob.objects.get().message == ""


def test_only_transitions_writes_a_state() -> None:
    writes = re.compile(r"update\([^)]*\bstate=|\.state\s*=[^=]|update_fields=[^)]*\"state\"", re.S)
    sources = [
        path
        for package in ("provisioning", "crewship", "cache", "catalogs")
        for path in (ROOT / package).rglob("*.py")
        if "crewship/cli" not in path.as_posix()  # the supervisor's children have states as well
    ]
    found = {p.relative_to(ROOT).as_posix() for p in sources if writes.search(p.read_text())}
    assert found == {"provisioning/transitions.py"}


def test_the_database_refuses_a_second_active_job(cast: Cast, make_job: JobMaker) -> None:
    from django.db import IntegrityError

    make_job(cast.crew, JobState.RUNNING)
    with pytest.raises(IntegrityError):
        make_job(cast.crew, JobState.PENDING)


def test_the_database_refuses_an_unknown_state(cast: Cast, make_job: JobMaker) -> None:
    from django.db import IntegrityError

    job = make_job(cast.crew)
    with pytest.raises(IntegrityError):
        ProvisionJob.objects.filter(pk=job.pk).update(state="paused")
