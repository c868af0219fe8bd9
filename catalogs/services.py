"""What operators change in the catalogs."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from ulid import ULID

from catalogs.models import CUSTOM, CatalogEntry, CatalogKind, CatalogState


@transaction.atomic
def save_custom(entry: CatalogEntry) -> None:
    """The operator's entry (cleaned before) is stored and seen by the next request."""
    entry.source = CUSTOM
    entry.save()
    mark_changed(entry.kind)


@transaction.atomic
def delete_custom(entries: Iterable[CatalogEntry]) -> None:
    """What was beneath the entries shows again. Fetched entries are left alone."""
    for entry in entries:
        if entry.source == CUSTOM:
            entry.delete()
    for kind in CatalogKind.values:
        mark_changed(kind)


@transaction.atomic
def hide(entry: CatalogEntry, hidden: bool = True) -> None:
    """Whether the lists have what ``entry`` (of any source) names; an operator's entry says so."""
    custom, _ = CatalogEntry.objects.get_or_create(
        kind=entry.kind, source=CUSTOM, key=entry.key, defaults={"ref": entry.ref}
    )
    custom.hidden = hidden
    save_custom(custom)


def mark_changed(kind: str) -> None:
    """Every process reads the catalog's rows anew; part of the transaction that wrote them."""
    CatalogState.objects.update_or_create(kind=kind, defaults={"revision": str(ULID())})
