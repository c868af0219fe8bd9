"""Which rows are too old to be kept, and removing them some at a time.

Each ``Kind`` of row has a bound (docs/operations.md). Only what is over goes: no row of an active
job, no token or invitation that still opens anything. Transactions are short, and after each there
is room for others to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import BigIntegerField, Exists, F, Func, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from cache.models import KnownBase
from crewship.domain.errors import Gone
from crewship.web.sqlite_space import paced
from crewship.workspaces.models import ApiToken, AuditEvent, Invitation
from provisioning.models import JobEvent, ProvisionJob
from provisioning.states import ACTIVE, LOG_KINDS, EventKind, JobState

ROWS_AT_ONCE: Final = 500
BYTES_AT_ONCE: Final = 4 * 1024 * 1024  # of events
LONGEST_DAYS: Final = 366_000  # whoever wants to keep all for ever may set more
FIRST_EVENTS: Final = 8  # rows of an older version may have a megabyte each
# What is left tells how the job went: its steps, layers and states.
OF_LOGS: Final = (*LOG_KINDS, EventKind.STEP_MESSAGE)


class LogPruned(Gone):
    """The job's log was removed, as old ones are; the job itself is still there."""

    code = "log_pruned"
    hint = "Provision the crew to have a new log; CREWSHIP_LOG_KEEP_DAYS says how long logs stay."


@dataclass(frozen=True, slots=True)
class Amount:
    """``bytes`` are those of events' data, as they are stored."""

    rows: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.rows + other.rows, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of row. ``count`` says what would go now, ``remove`` removes it."""

    name: str
    count: Callable[[], Amount]
    remove: Callable[[], Amount]


def check_log(job: ProvisionJob) -> None:
    """Raises LogPruned."""
    if job.log_pruned_at is not None:
        raise LogPruned(f"The log of this job was removed on {job.log_pruned_at:%Y-%m-%d}.")


def kinds() -> list[Kind]:
    """All of them, with the bounds that hold now."""
    keep = settings.CREWSHIP.retention
    audit, ended = _days_ago(keep.audit_days), _days_ago(keep.ended_days)
    used_up = Q(accepted_at__lt=ended) | Q(revoked_at__lt=ended) | Q(expires_at__lt=ended)
    spent = Q(revoked_at__lt=ended) | Q(expires_at__lt=ended)
    return [
        Kind("job_logs", _count_logs, _remove_logs),
        Kind("jobs", _count_jobs, _remove_jobs),
        _plain("audit_events", AuditEvent.objects.filter(at__lt=audit)),
        _plain("admin_log_entries", LogEntry.objects.filter(action_time__lt=audit)),
        _plain("known_base_images", KnownBase.objects.filter(seen_at__lt=audit)),
        _plain("sessions", Session.objects.filter(expire_date__lt=timezone.now())),
        _plain("tokens", ApiToken.objects.filter(spent)),
        _plain("invitations", Invitation.objects.filter(used_up)),
    ]


def _days_ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=min(days, LONGEST_DAYS))


def _plain(name: str, rows: QuerySet[Any]) -> Kind:
    return Kind(name, lambda: Amount(rows.count()), partial(_remove_rows, rows))


def _remove_rows(rows: QuerySet[Any]) -> Amount:
    total = Amount()
    while keys := list(rows.order_by().values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        with paced():
            total += Amount(rows.filter(pk__in=keys).delete()[0])
    return total


# -- logs
def _count_logs() -> Amount:
    amount = Amount()
    for job_id in _jobs_with_old_logs():
        amount += _sum(_log_events(job_id))
    return amount


def _remove_logs() -> Amount:
    amount = Amount()
    for job_id in _jobs_with_old_logs():
        amount += remove_log(job_id)
    return amount


def remove_log(job_id: str) -> Amount:
    """The job says first that its log is gone: nobody reads half of one as if it were whole."""
    marked = _over().filter(pk=job_id)
    if not marked.update(log_pruned_at=Coalesce(F("log_pruned_at"), timezone.now())):
        return Amount()
    return _remove_events(_log_events(job_id))


def _jobs_with_old_logs() -> list[str]:
    """Those of which a prune was stopped half-way among them."""
    keep = settings.CREWSHIP.retention
    old = _over().filter(finished_at__lt=_days_ago(keep.log_days), log_pruned_at=None)
    rest = _over().filter(
        Exists(JobEvent.objects.filter(job=OuterRef("pk"), kind__in=OF_LOGS)),
        log_pruned_at__isnull=False,
    )
    return [*_beyond(old, keep.log_jobs), *rest.values_list("pk", flat=True)]


def _log_events(job_id: str) -> QuerySet[JobEvent]:
    return JobEvent.objects.filter(job_id=job_id, kind__in=OF_LOGS)


# -- whole jobs
def _count_jobs() -> Amount:
    amount = Amount()
    for job_id in _old_jobs():
        amount += Amount(1, _sum(JobEvent.objects.filter(job_id=job_id)).bytes)
    return amount


def _remove_jobs() -> Amount:
    amount = Amount()
    for job_id in _old_jobs():
        remove_log(job_id)  # a log that stood longer than its job is no log of a job any more
        events = _remove_events(JobEvent.objects.filter(job_id=job_id))
        with paced(), transaction.atomic():
            gone = _over().filter(pk=job_id).delete()[1]
        amount += Amount(gone.get(ProvisionJob._meta.label, 0), events.bytes)
    return amount


def _old_jobs() -> list[str]:
    """Not the last one that a crew completed: what its features resolved to is read from it."""
    keep = settings.CREWSHIP.retention
    newer = _jobs_of_the_crew().filter(state=JobState.COMPLETED, pk__gt=OuterRef("pk"))
    followed = Exists(ProvisionJob.objects.filter(leader=OuterRef("pk"), state__in=ACTIVE))
    old = _over().filter(~followed, finished_at__lt=_days_ago(keep.audit_days))
    old = old.filter(~Q(state=JobState.COMPLETED) | Exists(newer))
    return _beyond(old, max(keep.jobs, keep.log_jobs))


def _over() -> QuerySet[ProvisionJob]:
    """No edge leads out of these states: what is over stays it."""
    return ProvisionJob.objects.exclude(state__in=ACTIVE).order_by()


def _jobs_of_the_crew() -> QuerySet[ProvisionJob]:
    return ProvisionJob.objects.filter(crew_id=OuterRef("crew_id")).order_by("-pk")


def _beyond(jobs: QuerySet[ProvisionJob], newest: int) -> list[str]:
    """The ids of those that are not among their crew's newest."""
    last_kept = Subquery(_jobs_of_the_crew().values("pk")[newest - 1 : newest])
    return list(jobs.filter(pk__lt=last_kept).order_by("pk").values_list("pk", flat=True))


# -- events
class StoredBytes(Func):
    """Bytes of a JSON column as it is stored; on PostgreSQL before it is compressed."""

    output_field = BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:  # Any: Django's
        template = "length(CAST(%(expressions)s AS BLOB))"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:  # Any: Django's
        template = "octet_length((%(expressions)s)::text)"
        return self.as_sql(compiler, connection, template=template, **context)


def _sum(events: QuerySet[JobEvent]) -> Amount:
    found = events.aggregate(rows=Coalesce(Sum(1), 0), bytes=Coalesce(Sum(StoredBytes("data")), 0))
    return Amount(found["rows"], found["bytes"])


def _remove_events(events: QuerySet[JobEvent]) -> Amount:
    total = Amount()
    for keys, size in _portions(events):
        with paced():
            total += Amount(JobEvent.objects.filter(pk__in=keys).delete()[0], size)
    return total


def _portions(events: QuerySet[JobEvent]) -> Iterator[tuple[list[int], int]]:
    """Keys of events that are removed at once, and their bytes. How many the next ones may be is
    guessed from those before."""
    count = FIRST_EVENTS
    sizes = events.order_by("seq").annotate(size=StoredBytes("data")).values_list("pk", "size")
    while rows := list(sizes[:count]):
        size = sum(row[1] for row in rows)
        yield [row[0] for row in rows], size
        count = max(1, min(count * BYTES_AT_ONCE // (size or 1), count * 4, ROWS_AT_ONCE))
