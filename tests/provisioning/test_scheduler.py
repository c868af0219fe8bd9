"""The scheduler's duties: one that fails keeps no other, and is done again later."""

from __future__ import annotations

from datetime import timedelta
from threading import Event

import pytest
from django.db import OperationalError
from django.utils import timezone

from cache.models import UpkeepProblem
from catalogs import refresh as catalogs
from catalogs.models import CatalogKind
from crewship.crews import services as crews
from crewship.crews.models import Crew
from provisioning.management.commands import crewship_scheduler as module
from provisioning.models import SchedulerState
from provisioning.scheduler_state import SchedulerPulse
from tests.cast import Cast
from tests.provisioning.test_watcher import Rounds

pytestmark = pytest.mark.django_db


def scheduler() -> None:
    module.keep_sweeping(Rounds(3))


def test_a_duty_that_fails_keeps_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[int] = []

    def break_down() -> None:
        raise KeyError("bug")

    monkeypatch.setattr(module, "refresh_hashes", break_down)
    monkeypatch.setattr(SchedulerPulse, "beat", lambda _self: break_down())
    monkeypatch.setattr(module, "sweep_jobs", lambda: swept.append(1))
    scheduler()
    assert len(swept) == 3
    names = set(UpkeepProblem.objects.values_list("name", flat=True))
    assert names == {"scheduler heartbeat", "refresh crew hashes"}


def test_hashes_are_refreshed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    monkeypatch.setattr(module, "refresh_hashes", lambda: done.append(1))
    scheduler()
    assert done == [1]
    assert SchedulerState.objects.exists()


def test_a_crew_whose_hash_trips_us_up_keeps_no_others(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    Crew.objects.update(config_hash="stale")
    real = crews.crew_hash

    def trip(crew: Crew, *args: object) -> str:
        if crew.pk == cast.crew.pk:
            raise KeyError("text")
        return real(crew, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(crews, "crew_hash", trip)
    assert crews.refresh_hashes() == Crew.objects.exclude(pk=cast.crew.pk).count()
    assert Crew.objects.get(pk=cast.crew.pk).config_hash == "stale"
    assert Crew.objects.get(pk=cast.strange_crew.pk).config_hash != "stale"


def test_a_catalog_that_trips_us_up_keeps_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[CatalogKind] = []

    def refresh(kind: CatalogKind, _sources: object) -> None:
        asked.append(kind)
        raise KeyError("of a shape that nobody thought of")

    monkeypatch.setattr(catalogs, "refresh", refresh)
    monkeypatch.setattr("catalogs.refresh.connections.close_all", lambda: None)
    catalogs.keep_fresh(lambda: None, Rounds(1))  # type: ignore[arg-type, return-value]
    assert asked == list(CatalogKind)


class Recorder(Event):
    """A stop whose waits are written down instead of waited for."""

    def __init__(self, told: list[object]) -> None:
        super().__init__()
        self.told = told

    def wait(self, timeout: float | None = None) -> bool:
        self.told.append(timeout)
        return self.is_set()


def test_live_workers_may_speak_before_the_first_sweep_after_an_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[object] = []
    stop = Recorder(told)

    def sweep() -> None:
        told.append("sweep")
        if told.count("sweep") == 1:
            raise OperationalError("gone")
        if told.count("sweep") == 3:
            stop.set()

    monkeypatch.setattr(module, "sweep_jobs", sweep)
    module.keep_sweeping(stop)
    pause, grace = module.SWEEP_S, module.AFTER_OUTAGE_S
    assert told == ["sweep", pause, grace, "sweep", pause, "sweep", pause]


def test_a_database_that_can_only_be_read_is_still_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the grace of the workers begins when there is room again."""
    told: list[object] = []
    stop = Recorder(told)
    full = [False, True, True, False, False]

    def beat(_self: SchedulerPulse) -> None:
        if full.pop(0):
            raise OperationalError("database or disk is full")

    def sweep() -> None:
        told.append("sweep")
        if len(full) == 4:
            raise OperationalError("database or disk is full")
        stop.set()

    monkeypatch.setattr(SchedulerPulse, "beat", beat)
    monkeypatch.setattr(module, "sweep_jobs", sweep)
    module.keep_sweeping(stop)
    pause, grace = module.SWEEP_S, module.AFTER_OUTAGE_S
    assert told == ["sweep", pause, pause, pause, grace, "sweep", pause]


def test_problems_of_duties_that_are_no_more_are_forgotten() -> None:
    now = timezone.now() - timedelta(days=1)
    UpkeepProblem.objects.create(
        kind="duty", name="of an older version", first_at=now, last_at=now, retry_at=now
    )
    scheduler()
    assert not UpkeepProblem.objects.exists()
