"""Fetching the catalogs anew, one fetch at a time in the whole installation.

What a source brings replaces what it brought before; a source that fails, or brings nothing,
leaves its last good copy. Readers never wait for any of this (``selectors.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from threading import Event
from typing import Any, Final

import httpx
from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.db.models import F, Q
from django.utils import timezone

from catalogs.entries import FeatureEntry, RuntimeEntry
from catalogs.fetch import Sources, fetch_features, fetch_runtimes
from catalogs.models import CUSTOM, CatalogEntry, CatalogKind, CatalogState
from catalogs.services import mark_changed
from crewship.domain.errors import CrewshipError, MiseUnavailable, RegistryError
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient

log = logging.getLogger(__name__)

INTERVAL: Final = timedelta(hours=6)
RETRY: Final = timedelta(minutes=15)  # after a refresh that brought nothing at all
LOOK_S: Final = 60.0  # how often it is looked whether a refresh is due
MISE: Final = "mise"  # the source of runtimes


@dataclass(frozen=True, slots=True)
class Report:
    """What one refresh did: entries by source, and the errors of the others."""

    counts: dict[str, int]
    errors: dict[str, str]


def refresh(
    kind: CatalogKind, sources: Sources, transport: httpx.BaseTransport | None = None
) -> Report | None:
    """Ask every source of the catalog, one after the other; None when somebody else is at it.

    ``transport`` is for tests. Raises OSError when the store can't be used.
    """
    names = sources.publishers if kind == CatalogKind.FEATURE else (MISE,)
    lease = _take_lease(kind, _longest(sources, len(names)))
    if lease is None:
        return None
    report = Report({}, {})
    try:
        if kind == CatalogKind.FEATURE:
            _refresh_features(sources, transport, report)
        else:
            _refresh_runtimes(sources, report)
        _forget_others(kind, {name.lower() for name in names})
    finally:
        _finish(kind, lease, report)
    return report


def keep_fresh(sources: Callable[[], Sources], stop: Event) -> None:
    """Refresh what is due until ``stop`` is set; for a thread of the scheduler."""
    while not stop.is_set():
        try:
            for kind in CatalogKind:
                _keep_one_fresh(kind, sources)
        finally:
            connections.close_all()  # this thread's; the next look may be after a restart of it
        stop.wait(LOOK_S)


def _keep_one_fresh(kind: CatalogKind, sources: Callable[[], Sources]) -> None:
    """One that fails keeps neither the other nor the next look."""
    try:
        if is_due(kind):
            refresh(kind, sources())
    except (DatabaseError, OSError, CrewshipError) as err:
        log.warning("the catalog of %ss was not refreshed: %s", kind, err)
    except Exception:  # what a publisher sent may be of any shape
        log.exception("the catalog of %ss was not refreshed", kind)


def is_due(kind: CatalogKind) -> bool:
    now = timezone.now()
    waiting = Q(attempted_at__gt=now - RETRY) | Q(
        attempted_at__gt=now - INTERVAL, fetched_at__gte=F("attempted_at")
    )
    return not CatalogState.objects.filter(waiting, pk=kind).exists()


def _refresh_features(
    sources: Sources, transport: httpx.BaseTransport | None, report: Report
) -> None:
    blobs = BlobStore(sources.store)
    with OciClient(sources.registry, transport) as client:
        for publisher in sources.publishers:
            try:
                entries = fetch_features(client, publisher, blobs)
            except RegistryError as err:
                _failed(report, publisher, err)
            else:
                rows = [_feature_row(publisher.lower(), entry) for entry in entries]
                _replace(CatalogKind.FEATURE, publisher.lower(), rows)
                report.counts[publisher] = len(rows)


def _refresh_runtimes(sources: Sources, report: Report) -> None:
    try:
        entries = fetch_runtimes(sources.mise, BlobStore(sources.store))
    except MiseUnavailable as err:
        _failed(report, MISE, err)
    else:
        rows = [_runtime_row(entry) for entry in entries]
        _replace(CatalogKind.RUNTIME, MISE, rows)
        report.counts[MISE] = len(rows)


def _failed(report: Report, source: str, error: CrewshipError) -> None:
    report.errors[source] = f"{error.message} [{error.error_code}]"
    log.warning("catalog of %s: %s", source, report.errors[source])


@transaction.atomic
def _replace(kind: CatalogKind, source: str, rows: Iterable[CatalogEntry]) -> None:
    CatalogEntry.objects.filter(kind=kind, source=source).delete()
    CatalogEntry.objects.bulk_create(rows, batch_size=100)
    mark_changed(kind)


@transaction.atomic
def _forget_others(kind: CatalogKind, sources: set[str]) -> None:
    """Entries of publishers that are not allowed any more."""
    gone = CatalogEntry.objects.filter(kind=kind).exclude(source__in={CUSTOM, *sources})
    if gone.delete()[0]:
        mark_changed(kind)


def _feature_row(source: str, entry: FeatureEntry) -> CatalogEntry:
    return CatalogEntry(kind=CatalogKind.FEATURE, source=source, **_columns(entry))


def _runtime_row(entry: RuntimeEntry) -> CatalogEntry:
    columns = {**_columns(entry), "ref": entry.key}
    return CatalogEntry(kind=CatalogKind.RUNTIME, source=MISE, **columns)


def _columns(entry: FeatureEntry | RuntimeEntry) -> dict[str, Any]:  # Any: values of columns
    return {n: list(v) if isinstance(v, tuple) else v for n, v in asdict(entry).items()}


def _longest(sources: Sources, number: int) -> timedelta:
    """After this time a fetch that says nothing any more has died."""
    asked = sources.registry.total_timeout_s + sources.registry.read_timeout_s
    return timedelta(seconds=60 + 2 * asked * number)  # manifest and blob


def _take_lease(kind: CatalogKind, longest: timedelta) -> Any:  # Any: a time, or None
    """Until when this process may fetch; None when another one may now."""
    now = timezone.now()
    CatalogState.objects.get_or_create(kind=kind)
    free = CatalogState.objects.filter(
        Q(fetching_until__isnull=True) | Q(fetching_until__lt=now), pk=kind
    )
    lease = now + longest
    return lease if free.update(fetching_until=lease, attempted_at=now) else None


def _finish(kind: CatalogKind, lease: Any, report: Report) -> None:  # Any: as above
    ours = CatalogState.objects.filter(pk=kind, fetching_until=lease)
    if report.counts:
        ours.update(fetched_at=timezone.now())
    error = "\n".join(f"{source}: {text}" for source, text in report.errors.items())
    ours.update(fetching_until=None, error=error)
