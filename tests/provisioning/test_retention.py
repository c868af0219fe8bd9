"""What is old goes, what is needed or active stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from pytest_django.plugin import DjangoDbBlocker

from cache.models import DockerHost, KnownBase
from crewship.workspaces.models import ApiToken, AuditEvent, Invitation
from provisioning import retention
from provisioning.history import checklist
from provisioning.models import JobEvent, ProvisionJob
from provisioning.retention import Amount, LogPruned, check_log, kinds
from provisioning.states import EventKind, JobState
from tests.cast import Cast, make_cast
from tests.conftest import JobMaker
from tests.provisioning.old_rows import days_ago, events_of, old_job
from tests.rows import all_rows

KEPT = ["job.state", "step.started", "layer", "job.state"]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crewship.web.sqlite_space._LONGEST_REST_S", 0.0)


def remove() -> dict[str, Amount]:
    return {kind.name: kind.remove() for kind in kinds()}


def count() -> dict[str, Amount]:
    return {kind.name: kind.count() for kind in kinds()}


def test_of_an_old_log_the_steps_layers_and_states_stay(cast: Cast, make_job: JobMaker) -> None:
    old = old_job(make_job, cast.crew, 31)
    newest = [old_job(make_job, cast.crew, 31) for _ in range(5)]
    gone = remove()["job_logs"]
    old.refresh_from_db()
    assert old.log_pruned_at is not None
    assert events_of(old) == KEPT
    assert gone == Amount(3, len('{"message":"half-way"}{"lines":["printed"]}{"text":"said"}'))
    assert checklist(old)[0].layers
    with pytest.raises(LogPruned, match="was removed on 20"):
        check_log(old)
    for job in newest:
        job.refresh_from_db()
        assert job.log_pruned_at is None
        assert len(events_of(job)) == 7


def test_a_log_stays_as_long_as_was_set(cast: Cast, make_job: JobMaker, set_options: Any) -> None:
    jobs = [old_job(make_job, cast.crew, days) for days in (50, 40, 9, 8, 1, 0)]
    usual = set_options().retention
    set_options(retention=type(usual)(log_days=9, log_jobs=1))
    assert remove()["job_logs"].rows == 9
    pruned = ProvisionJob.objects.exclude(log_pruned_at=None).values_list("pk", flat=True)
    assert set(pruned) == {job.pk for job in jobs[:3]}


def test_a_setting_of_any_size_keeps_all(cast: Cast, make_job: JobMaker, set_options: Any) -> None:
    for _ in range(2):
        old_job(make_job, cast.crew, 900)
    usual = set_options().retention
    set_options(retention=type(usual)(log_days=10**12, log_jobs=1))
    assert remove()["job_logs"] == Amount()


def test_what_is_active_keeps_its_log_however_old(cast: Cast, make_job: JobMaker) -> None:
    job = old_job(make_job, cast.crew, 900, JobState.RUNNING)
    for _ in range(60):
        make_job(cast.crew, JobState.FAILED)
    assert remove()["job_logs"] == Amount()
    assert len(events_of(job)) == 7
    assert retention.remove_log(job.pk) == Amount()


def test_a_prune_that_was_stopped_half_way_is_ended_by_the_next(
    cast: Cast, make_job: JobMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = old_job(make_job, cast.crew, 31)
    for _ in range(5):
        make_job(cast.crew, JobState.COMPLETED)
    with monkeypatch.context() as patch:
        patch.setattr(retention, "_remove_events", lambda _events: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            remove()
    old.refresh_from_db()
    first = old.log_pruned_at
    assert first is not None
    remove()
    old.refresh_from_db()
    assert (events_of(old), old.log_pruned_at) == (KEPT, first)


def test_a_long_log_goes_in_portions_by_bytes(
    cast: Cast, make_job: JobMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(cast.crew, JobState.FAILED, finished_at=days_ago(31))
    JobEvent.objects.bulk_create(
        JobEvent(job=job, seq=seq, kind=EventKind.OUTPUT, data={"lines": ["x" * 1000]})
        for seq in range(1, 41)
    )
    monkeypatch.setattr(retention, "BYTES_AT_ONCE", 10_000)
    portions = [len(keys) for keys, _size in _consumed(retention._log_events(job.pk))]
    assert sum(portions) == 40
    assert max(portions) <= 9


def _consumed(events: Any) -> Iterator[tuple[list[int], int]]:
    for keys, size in retention._portions(events):
        yield keys, size
        JobEvent.objects.filter(pk__in=keys).delete()


def test_jobs_go_that_are_neither_young_nor_among_the_last_50(
    cast: Cast, make_job: JobMaker
) -> None:
    last_completed = old_job(make_job, cast.crew, 500)
    goes = old_job(make_job, cast.crew, 401, JobState.FAILED)
    young = old_job(make_job, cast.crew, 399, JobState.FAILED)
    for _ in range(50):
        make_job(cast.crew, JobState.FAILED)
    assert remove()["jobs"].rows == 1
    assert not ProvisionJob.objects.filter(pk=goes.pk).exists()
    assert not JobEvent.objects.filter(job_id=goes.pk).exists()
    assert ProvisionJob.objects.filter(pk__in=[last_completed.pk, young.pk]).count() == 2


def test_the_last_50_jobs_stay_however_old(cast: Cast, make_job: JobMaker) -> None:
    for _ in range(50):
        make_job(cast.crew, JobState.FAILED, finished_at=days_ago(900))
    assert remove()["jobs"] == Amount()


def test_old_audit_events_and_admin_log_entries_go(cast: Cast) -> None:
    AuditEvent.objects.all().delete()
    for days in (401, 399):
        event = AuditEvent.objects.create(via="api", action=f"{days}")
        AuditEvent.objects.filter(pk=event.pk).update(at=days_ago(days))
        LogEntry.objects.create(
            user=cast.person("alice").user,
            content_type=ContentType.objects.get_for_model(AuditEvent),
            object_repr=f"{days}",
            action_flag=CHANGE,
            action_time=days_ago(days),
        )
    gone = remove()
    assert (gone["audit_events"].rows, gone["admin_log_entries"].rows) == (1, 1)
    assert list(AuditEvent.objects.values_list("action", flat=True)) == ["399"]
    assert list(LogEntry.objects.values_list("object_repr", flat=True)) == ["399"]


@pytest.mark.parametrize(
    ("ended", "goes"),
    [
        ({"expires_at": 31}, True),
        ({"expires_at": 29}, False),
        ({"expires_at": -1, "revoked_at": 31}, True),
        ({"expires_at": -1, "revoked_at": 29}, False),
        ({"expires_at": -1}, False),
    ],
)
def test_tokens_and_invitations_go_a_month_after_their_end(
    ended: dict[str, int], goes: bool, cast: Cast
) -> None:
    times = {name: days_ago(days) for name, days in ended.items()}
    alice = cast.person("alice").user
    token = ApiToken.objects.create(user=alice, name="t", digest="0" * 64, **times)
    invitation = Invitation.objects.create(
        workspace=cast.workspace, email="x@example.com", digest="1" * 64, invited_by=alice, **times
    )
    gone = remove()
    assert (gone["tokens"].rows, gone["invitations"].rows) == (goes, goes)
    assert ApiToken.objects.filter(pk=token.pk).exists() is not goes
    assert Invitation.objects.filter(pk=invitation.pk).exists() is not goes


def test_used_invitations_go_too(cast: Cast) -> None:
    Invitation.objects.create(
        workspace=cast.workspace,
        email="x@example.com",
        digest="1" * 64,
        invited_by=cast.person("alice").user,
        expires_at=days_ago(-1),
        accepted_at=days_ago(31),
    )
    assert remove()["invitations"].rows == 1


def test_expired_sessions_go(cast: Cast) -> None:
    for number in range(3):
        Session.objects.create(session_key=f"old{number}", expire_date=days_ago(0.01))
    Session.objects.create(session_key="live", expire_date=days_ago(-1))
    assert remove()["sessions"].rows == 3
    assert list(Session.objects.values_list("pk", flat=True)) == ["live"]


def test_base_images_that_nobody_builds_from_are_forgotten(host: DockerHost) -> None:
    for ref, days in (("old", 401), ("used", 1)):
        KnownBase.objects.create(host=host, ref=ref, layer_count=1, seen_at=days_ago(days))
    assert remove()["known_base_images"].rows == 1
    assert list(KnownBase.objects.values_list("ref", flat=True)) == ["used"]


def test_more_rows_than_go_at_once_all_go(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
    for number in range(7):
        Session.objects.create(session_key=f"old{number}", expire_date=days_ago(1))
    assert remove()["sessions"].rows == 7


def test_what_is_counted_is_what_goes_and_counting_changes_nothing(
    cast: Cast, make_job: JobMaker
) -> None:
    for days in (500, 500, 40, 35):
        old_job(make_job, cast.crew, days, JobState.FAILED)
    for _ in range(49):
        make_job(cast.crew, JobState.FAILED)
    Session.objects.create(session_key="old", expire_date=days_ago(1))
    before = all_rows()
    counted = count()
    assert all_rows() == before
    assert counted["job_logs"].rows == 12
    removed = remove()
    assert {name: amount.rows for name, amount in counted.items()} == {
        name: amount.rows for name, amount in removed.items()
    }


@pytest.mark.postgres
def test_postgresql_forgets_the_same(
    postgres_db: str, django_db_blocker: DjangoDbBlocker, host_row: DockerHost
) -> None:
    cast = make_cast()

    def make(crew: Any, state: JobState = JobState.FAILED, **fields: Any) -> ProvisionJob:
        return ProvisionJob.objects.create(
            crew=crew,
            workspace=crew.workspace,
            host=host_row,
            state=state,
            config_hash="",
            **fields,
        )

    oldest = old_job(make, cast.crew, 500, JobState.FAILED)
    logs = old_job(make, cast.crew, 40, JobState.FAILED)
    for _ in range(50):
        make(cast.crew, JobState.FAILED, finished_at=days_ago(0))
    counted, gone = count(), remove()
    assert counted["job_logs"] == gone["job_logs"]
    assert gone["job_logs"].rows == 6
    assert gone["job_logs"].bytes > 0
    assert gone["jobs"].rows == 1
    assert not ProvisionJob.objects.filter(pk=oldest.pk).exists()
    assert events_of(logs) == KEPT


@pytest.fixture
def host_row(postgres_db: str) -> DockerHost:
    return DockerHost.objects.create(name="local", engine_id="fake", platform="linux/amd64")
