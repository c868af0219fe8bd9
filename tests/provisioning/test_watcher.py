"""The pieces of the host's watcher that run without its threads."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.utils import timezone

from cache.models import CachedImage, DockerHost, HostImage
from cache.services import carry_out_removals
from crewship.engine.fake import FakeEngine
from provisioning import watcher as module
from provisioning.watcher import HostWatcher
from tests.conftest import ImageMaker

HASH = "ab" * 32
TAG = "crewship-cache:abababababab"


class Rounds(Event):
    """A stop that is set after so many waits."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self._left = rounds

    def wait(self, timeout: float | None = None) -> bool:
        self._left -= 1
        if self._left <= 0:
            self.set()
        return self.is_set()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def test_its_work_writes_presence_and_carries_out_removals(
    engine: FakeEngine, host: DockerHost, make_image: ImageMaker
) -> None:
    make_image(HASH, image_id=engine.add_image(TAG), seen=False, deleting_at=timezone.now())
    engine.add_image("crewship-layer:k")
    HostWatcher(engine, Rounds(1))._work(host)
    assert engine.image(TAG) is None
    assert not CachedImage.objects.exists()
    assert list(HostImage.objects.values_list("tag", flat=True)) == ["crewship-layer:k"]


def test_an_event_makes_it_look_at_once(
    engine: FakeEngine, host: DockerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(module, "reconcile", lambda *_: looks.append(1))
    watcher = HostWatcher(engine, Rounds(3))
    carry = carry_out_removals
    seen: list[int] = []

    def change_once(*args: Any) -> int:
        seen.append(1)
        if len(seen) == 2:
            watcher._changed.set()
        return carry(*args)

    monkeypatch.setattr(module, "carry_out_removals", change_once)
    watcher._work(host)
    assert len(looks) == 2


@pytest.mark.parametrize("autodelete", [False, True])
def test_its_sweep_removes_only_where_the_operator_allows_it(
    autodelete: bool, engine: FakeEngine, host: DockerHost, make_image: ImageMaker, set_gc: Any
) -> None:
    set_gc(autodelete=autodelete)
    make_image(HASH, image_id=engine.add_image(TAG), age_s=3600)
    HostWatcher(engine, Event())._collect(host)
    assert (engine.image(TAG) is None) == autodelete


def test_a_heartbeat_asks_the_engine_first(
    engine: FakeEngine, host: DockerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the tests' own thread; its connection stays open."""
    monkeypatch.setattr("provisioning.watcher.connection.close", lambda: None)
    old = timezone.now() - timedelta(hours=1)
    DockerHost.objects.update(heartbeat_at=old)
    engine.unreachable = True
    HostWatcher(engine, Event())._heartbeat(host, Rounds(3))
    host.refresh_from_db()
    assert host.heartbeat_at == old
    engine.unreachable = False
    HostWatcher(engine, Event())._heartbeat(host, Rounds(3))
    host.refresh_from_db()
    assert host.heartbeat_at is not None
    assert timezone.now() - host.heartbeat_at < timedelta(seconds=10)


@pytest.mark.django_db
def test_an_engine_that_is_away_is_waited_for(engine: FakeEngine) -> None:
    engine.unreachable = True
    HostWatcher(engine, Rounds(3)).run()
    assert len(engine.calls) == 3
    assert not DockerHost.objects.exists()


def test_it_writes_down_its_disks_and_its_sweep(engine: FakeEngine, host: DockerHost) -> None:
    HostWatcher(engine, Rounds(1))._work(host)
    host.refresh_from_db()
    assert host.last_sweep_at is not None
    assert host.disk_seen_at is not None
    assert host.data_total_bytes is not None
    assert host.data_free_bytes is not None
    assert 0 < host.data_free_bytes <= host.data_total_bytes
