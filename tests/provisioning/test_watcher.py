"""The pieces of the host's watcher that run without its threads."""

from __future__ import annotations

from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from cache.hosts import healthy_host
from cache.models import CachedImage, DockerHost, HostImage, UpkeepProblem
from cache.upkeep import Kind, Upkeep
from crewship.domain.errors import EngineError, EngineUnreachable
from crewship.engine.fake import FakeEngine
from crewship.engine.running import SubnetTaken
from provisioning.watcher import Duty, HostWatcher
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


@pytest.fixture(autouse=True)
def _own_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs in the tests' own thread leaves its connection open."""
    monkeypatch.setattr("provisioning.watcher.connection.close", lambda: None)


def duty(watcher: HostWatcher, name: str) -> Duty:
    return next(duty for duty in watcher._duties if duty.name == name)


def one_round(watcher: HostWatcher, host: DockerHost) -> None:
    """Each duty once, one after the other."""
    for each in watcher._duties:
        watcher._repeat(each, host, Rounds(1))


def test_its_duties_write_presence_and_carry_out_removals(
    engine: FakeEngine, host: DockerHost, make_image: ImageMaker
) -> None:
    make_image(HASH, image_id=engine.add_image(TAG), seen=False, deleting_at=timezone.now())
    engine.add_image("crewship-layer:k")
    one_round(HostWatcher(engine, Event()), host)
    assert engine.image(TAG) is None
    assert not CachedImage.objects.exists()
    one_round(HostWatcher(engine, Event()), host)
    assert list(HostImage.objects.values_list("tag", flat=True)) == ["crewship-layer:k"]


def test_a_duty_is_done_at_once_when_it_is_woken(engine: FakeEngine, host: DockerHost) -> None:
    watcher = HostWatcher(engine, Event())
    done: list[DockerHost] = []

    def work(host: DockerHost) -> None:
        done.append(host)
        if len(done) == 1:
            woken.wake.set()

    woken = Duty("look", 3600.0, work)
    watcher._repeat(woken, host, Rounds(4))
    assert done == [host, host]


def test_an_event_of_an_image_and_a_removal_make_it_look_at_images(
    engine: FakeEngine, host: DockerHost, make_image: ImageMaker
) -> None:
    watcher = HostWatcher(engine, Event())
    presence = duty(watcher, "list images")
    ended = Event()
    events = Thread(target=watcher._events, args=(ended,), daemon=True)
    events.start()
    try:
        for _ in range(100):  # until the stream is open
            engine.add_image(TAG)
            if presence.wake.wait(0.2):
                break
        assert presence.wake.is_set()
    finally:
        ended.set()
        events.join(10)
    presence.wake.clear()
    make_image(HASH, image_id=engine.add_image(TAG), deleting_at=timezone.now())
    watcher._repeat(duty(watcher, "remove images"), host, Rounds(1))
    assert presence.wake.is_set()


@pytest.mark.parametrize(
    "error", [EngineError("driver failed"), KeyError("bug"), EngineUnreachable("timed out")]
)
def test_a_duty_that_fails_stops_only_itself(
    error: Exception, engine: FakeEngine, host: DockerHost
) -> None:
    watcher = HostWatcher(engine, Event())
    engine.fail_next("image_tags", error)
    engine.add_image(TAG)
    one_round(watcher, host)
    assert not HostImage.objects.exists()
    host.refresh_from_db()
    assert host.last_sweep_at is not None
    problem = UpkeepProblem.objects.get()
    assert (problem.kind, problem.name) == ("duty", "list images")
    UpkeepProblem.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    one_round(watcher, host)
    assert HostImage.objects.exists()
    assert not UpkeepProblem.objects.exists()


def test_an_engine_that_is_away_is_no_problem_of_a_duty(
    engine: FakeEngine, host: DockerHost
) -> None:
    engine.unreachable = True
    one_round(HostWatcher(engine, Event()), host)
    assert not UpkeepProblem.objects.exists()


def test_a_duty_stands_a_database_that_is_away(
    engine: FakeEngine, host: DockerHost, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = HostWatcher(engine, Event())
    away = [True, True, False]

    def work(host: DockerHost) -> None:
        if away.pop(0):
            raise OperationalError("away")

    look = Duty("look", 0.0, work)
    upkeep = Upkeep(Kind.DUTY, host, engine)
    assert [watcher._do(look, host, upkeep) for _ in range(3)] == [False, False, True]
    assert [record.getMessage() for record in caplog.records] == [
        "look: the database does not answer: away",
        "look: the database answers again",
    ]


def test_a_build_network_that_cannot_be_made_keeps_nothing_else(
    engine: FakeEngine, db: None
) -> None:
    watcher = HostWatcher(engine, Event())
    engine.fail_next("create_build_network", SubnetTaken("no addresses"))
    host = watcher._register()
    assert healthy_host() == host
    engine.fail_next("create_build_network", SubnetTaken("no addresses"))
    watcher._repeat(duty(watcher, "keep build network"), host, Rounds(1))
    assert UpkeepProblem.objects.get().error == "no addresses"


def test_problems_of_duties_that_are_no_more_are_forgotten(
    engine: FakeEngine, host: DockerHost
) -> None:
    now = timezone.now()
    for name in ("list images", "of an older version"):
        UpkeepProblem.objects.create(
            host=host, kind=Kind.DUTY, name=name, first_at=now, last_at=now, retry_at=now
        )
    HostWatcher(engine, Event())._register()
    assert UpkeepProblem.objects.get().name == "list images"


@pytest.mark.parametrize("autodelete", [False, True])
def test_its_sweep_removes_only_where_the_operator_allows_it(
    autodelete: bool, engine: FakeEngine, host: DockerHost, make_image: ImageMaker, set_gc: Any
) -> None:
    set_gc(autodelete=autodelete)
    make_image(HASH, image_id=engine.add_image(TAG), age_s=3600)
    HostWatcher(engine, Event())._collect(host)
    assert (engine.image(TAG) is None) == autodelete


def test_a_heartbeat_asks_the_engine_first(engine: FakeEngine, host: DockerHost) -> None:
    old = timezone.now() - timedelta(hours=1)
    DockerHost.objects.update(heartbeat_at=old)
    engine.unreachable = True
    with pytest.raises(EngineUnreachable):
        HostWatcher(engine, Rounds(3))._heartbeat(host)
    host.refresh_from_db()
    assert host.heartbeat_at == old
    engine.unreachable = False
    HostWatcher(engine, Rounds(3))._heartbeat(host)
    host.refresh_from_db()
    assert host.heartbeat_at is not None
    assert timezone.now() - host.heartbeat_at < timedelta(minutes=1)
    assert {call.method for call in engine.calls} == {"ping"}


def test_a_heartbeat_ends_when_another_engine_took_the_name(
    engine: FakeEngine, host: DockerHost
) -> None:
    DockerHost.objects.update(engine_id="another", heartbeat_at=None)
    HostWatcher(engine, Rounds(5))._heartbeat(host)
    host.refresh_from_db()
    assert host.heartbeat_at is None
    assert len(engine.calls) == 1


def test_a_watcher_whose_name_is_taken_waits_and_says_so_once(
    engine: FakeEngine, host: DockerHost, caplog: pytest.LogCaptureFixture
) -> None:
    DockerHost.objects.update(engine_id="another")
    HostWatcher(engine, Rounds(4)).run()
    host.refresh_from_db()
    assert host.engine_id == "another"
    assert [record.getMessage() for record in caplog.records] == [
        "The host name local is another Docker engine's in this database. "
        "Give each machine a CREWSHIP_HOST of its own and start it again."
    ]


@pytest.mark.django_db
def test_an_engine_that_is_away_is_waited_for(engine: FakeEngine) -> None:
    engine.unreachable = True
    HostWatcher(engine, Rounds(3)).run()
    assert len(engine.call_args("create_build_network")) == 3
    assert not DockerHost.objects.exists()


def test_it_writes_down_its_disks_and_its_sweep(engine: FakeEngine, host: DockerHost) -> None:
    one_round(HostWatcher(engine, Event()), host)
    host.refresh_from_db()
    assert host.last_sweep_at is not None
    assert host.disk_seen_at is not None
    assert host.data_total_bytes is not None
    assert host.data_free_bytes is not None
    assert 0 < host.data_free_bytes <= host.data_total_bytes
