from __future__ import annotations

from threading import Event

import pytest
from django.db import connections

from catalogs import refresh
from catalogs.fetch import Sources
from catalogs.models import CatalogKind
from catalogs.refresh import keep_fresh
from crewship.domain.errors import DataDiskFull

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("error", [DataDiskFull("no room"), OSError("no room")])
def test_a_full_disk_does_not_end_the_refreshing(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = Event()
    looks: list[int] = []

    def sources() -> Sources:
        looks.append(1)
        if len(looks) == 2:
            stop.set()
        raise error

    monkeypatch.setattr(refresh, "LOOK_S", 0)
    monkeypatch.setattr(connections, "close_all", lambda: None)
    keep_fresh(sources, stop)
    assert [record.getMessage() for record in caplog.records] == [
        f"the catalog of {kind}s was not refreshed: no room" for kind in CatalogKind
    ]
    assert not any(record.exc_info for record in caplog.records)
