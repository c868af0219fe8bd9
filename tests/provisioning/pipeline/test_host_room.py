"""What a build may take of its host: memory, the size of a layer, the last of the disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from crewship.domain.errors import BuildStepFailed, CrewshipError, DiskFull
from crewship.engine.base import EngineInfo, ImageInfo
from crewship.engine.disk import DiskSpace
from crewship.engine.fake import FakeEngine, FakeExec, FakeRun
from provisioning.pipeline import host_room
from tests.provisioning.pipeline.kit import Kit, feature_of, features

GB = 1_000_000_000
ONE = {"features": features(one={})}
NO_SPACE = FakeRun("cp: error writing 'x': No space left on device\n", 1)
OTHER = "crewship-build-of-another"


class Disk:
    """50 GB, of which ``free`` bytes are free."""

    def __init__(self) -> None:
        self.free = 40 * GB

    def __call__(self, info: EngineInfo) -> DiskSpace:
        return DiskSpace("/var/lib/docker", 50 * GB, self.free)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_room, "LOOK_S", 0.005)
    monkeypatch.setattr(host_room, "MEASURE_S", 0.005)
    monkeypatch.setattr(host_room, "MEASURE_SHARE", 1)
    monkeypatch.setattr(host_room, "OTHERS_S", 0.3)
    monkeypatch.setattr(host_room, "ROOM_S", 0.3)


@pytest.fixture
def disk(kit: Kit) -> Disk:
    kit.disk = disk = Disk()
    kit.set_options(disk_floor_bytes=2 * GB)
    return disk


def on_feature(kit: Kit, *runs: Callable[[FakeExec], FakeRun]) -> list[str]:
    """The feature's script behaves so, once after the other; returns the containers it ran in."""
    ran: list[str] = []

    def answer(call: FakeExec) -> FakeRun | None:
        if feature_of(call) != "one":
            return None
        ran.append(call.container)
        return runs[min(len(ran), len(runs)) - 1](call)

    kit.engine.on_exec(answer)
    return ran


def another_build(kit: Kit, written: int) -> None:
    """A build of somebody else on the host."""
    real = kit.engine.written_bytes
    kit.engine.written_bytes = lambda prefix: real(prefix) | {OTHER: written}  # type: ignore[method-assign]


def failure(kit: Kit, config: Any = None) -> CrewshipError:
    with pytest.raises(CrewshipError) as caught:
        kit.build(ONE if config is None else config)
    assert {k: v for k, v in kit.left_over().items() if v} == {}
    return caught.value


def specs(kit: Kit) -> list[Any]:
    return [call["spec"] for call in kit.engine.call_args("create_container")]


class TestLimits:
    def host_has(self, kit: Kit, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
        info = replace(kit.engine.info(), memory_bytes=memory)
        monkeypatch.setattr(kit.engine, "info", lambda: info)

    def test_a_build_gets_80_percent_of_the_hosts_memory(
        self, kit: Kit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.host_has(kit, 10 * GB, monkeypatch)
        kit.build()
        assert {spec.memory_bytes for spec in specs(kit)} == {8 * GB}
        assert {spec.nano_cpus for spec in specs(kit)} == {None}

    @pytest.mark.parametrize(("said", "limit"), [(0, None), (5, 5)])
    def test_an_operator_may_say_how_much(
        self, kit: Kit, said: int, limit: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.host_has(kit, 10 * GB, monkeypatch)
        kit.set_options(memory_bytes=said, nano_cpus=7, pids_limit=9)
        kit.build()
        [limits] = {(s.memory_bytes, s.nano_cpus, s.pids_limit) for s in specs(kit)}
        assert limits == (limit, 7, 9)


class TestLayerSize:
    def test_a_step_that_adds_too_much_is_stopped(self, kit: Kit) -> None:
        kit.set_options(max_layer_bytes=5 * GB)

        def grow(call: FakeExec) -> FakeRun:
            kit.engine.written[call.container] = 6 * GB
            return FakeRun("writing\n", sleep_s=60)

        on_feature(kit, grow)
        error = failure(kit)
        assert error.error_code == "layer_too_big"
        assert "6.0 GB" in error.message
        assert "CREWSHIP_MAX_LAYER_BYTES" in error.error_hint

    def test_a_step_that_ends_before_anybody_looks_is_measured_too(
        self, kit: Kit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(host_room, "LOOK_S", 600)
        kit.set_options(max_layer_bytes=5 * GB)

        def grow(call: FakeExec) -> FakeRun:
            kit.engine.written[call.container] = 6 * GB
            return FakeRun()

        on_feature(kit, grow)
        monkeypatch.setattr(host_room.Guard, "close", lambda guard: guard._closing.set())
        assert failure(kit).error_code == "layer_too_big"

    def test_a_step_within_the_limit_is_left_alone(self, kit: Kit) -> None:
        kit.set_options(max_layer_bytes=5 * GB)

        def grow(call: FakeExec) -> FakeRun:
            kit.engine.written[call.container] = 5 * GB
            return FakeRun(sleep_s=0.05)

        on_feature(kit, grow)
        kit.build(ONE)


class TestDiskFloor:
    def test_a_build_does_not_begin_on_a_full_disk(self, kit: Kit, disk: Disk) -> None:
        disk.free = GB
        error = failure(kit)
        assert error.error_code == "insufficient_storage"
        assert "1.0 GB of 50.0 GB are free, and builds leave 2.0 GB" in error.message
        assert "/var/lib/docker has 1.0 GB free" in error.error_hint
        assert specs(kit) == []

    def test_a_disk_that_is_not_seen_stops_nothing(self, kit: Kit, disk: Disk) -> None:
        kit.disk = lambda info: None
        kit.build(ONE)

    def test_without_a_floor_nothing_is_looked_at(self, kit: Kit, disk: Disk) -> None:
        disk.free = 0
        kit.set_options(disk_floor_bytes=0)
        kit.build()

    def test_a_build_that_fills_the_disk_is_stopped(self, kit: Kit, disk: Disk) -> None:
        def fill(call: FakeExec) -> FakeRun:
            disk.free = GB
            kit.engine.written[call.container] = 39 * GB
            return FakeRun("writing\n", sleep_s=60)

        ran = on_feature(kit, fill)
        assert failure(kit).error_code == "insufficient_storage"
        assert len(ran) == 1

    def test_a_small_build_goes_on_while_the_big_one_is_stopped(
        self, kit: Kit, disk: Disk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(host_room, "OTHERS_S", 30)
        another_build(kit, 30 * GB)
        looks = iter(range(1000))

        def look(info: EngineInfo) -> DiskSpace:
            free = GB if 20 < next(looks) < 40 else 40 * GB  # for a while, in mid-build
            return DiskSpace("/var/lib/docker", 50 * GB, free)

        kit.disk = look
        on_feature(kit, lambda call: FakeRun("working\n", sleep_s=0.5))
        kit.build(ONE)

    def test_a_small_build_goes_on_while_the_bytes_of_one_that_is_gone_are_given_back(
        self, kit: Kit, disk: Disk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(host_room, "OTHERS_S", 30)
        looks = iter(range(1000))

        def look(info: EngineInfo) -> DiskSpace:
            free = GB if 20 < next(looks) < 40 else 40 * GB
            return DiskSpace("/var/lib/docker", 50 * GB, free)

        kit.disk = look
        on_feature(kit, lambda call: FakeRun("working\n", sleep_s=0.5))
        kit.build(ONE)

    def test_a_small_build_is_stopped_when_the_big_one_stays(self, kit: Kit, disk: Disk) -> None:
        another_build(kit, 30 * GB)

        def fill(call: FakeExec) -> FakeRun:
            disk.free = GB
            return FakeRun("working\n", sleep_s=60)

        on_feature(kit, fill)
        assert failure(kit).error_code == "insufficient_storage"

    def test_a_commit_that_would_fill_the_disk_is_not_begun(self, kit: Kit, disk: Disk) -> None:
        disk.free = 10 * GB

        def grow(call: FakeExec) -> FakeRun:
            kit.engine.written[call.container] = 9 * GB
            return FakeRun()

        on_feature(kit, grow)
        error = failure(kit)
        assert error.error_code == "insufficient_storage"
        assert "The layer has 9.0 GB" in error.message

    def test_a_commit_waits_for_room_that_others_took(
        self, kit: Kit, disk: Disk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(host_room, "OTHERS_S", 30)
        another_build(kit, 30 * GB)

        looks = iter(range(1000))

        def look(info: EngineInfo) -> DiskSpace:
            is_taken = kit.engine.written.get("grown") and next(looks) < 5
            return DiskSpace("/var/lib/docker", 50 * GB, 2 * GB if is_taken else 40 * GB)

        def grow(call: FakeExec) -> FakeRun:
            kit.engine.written |= {call.container: GB, "grown": 1}
            return FakeRun()

        kit.disk = look

        on_feature(kit, grow)
        kit.build(ONE)

    def test_a_pull_that_fills_the_disk_is_stopped(
        self, kit: Kit, disk: Disk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def pull(reference: str, *, cancel: Event, **_: Any) -> ImageInfo:
            disk.free = GB
            assert cancel.wait(30)
            return FakeEngine.pull(kit.engine, reference, cancel=cancel, **_)

        monkeypatch.setattr(kit.engine, "pull", pull)
        assert failure(kit, {"image": "debian:sid"}).error_code == "insufficient_storage"


class TestDiskTaken:
    def test_what_failed_on_a_disk_that_another_filled_begins_again(
        self, kit: Kit, disk: Disk
    ) -> None:
        another_build(kit, 30 * GB)
        ran = on_feature(kit, lambda call: NO_SPACE, lambda call: FakeRun())
        kit.build(ONE)
        assert len(ran) == 2
        assert any("begins again" in line for line in kit.emit.said)

    def test_it_begins_again_too_when_the_other_one_is_gone_already(
        self, kit: Kit, disk: Disk
    ) -> None:
        ran = on_feature(kit, lambda call: NO_SPACE, lambda call: FakeRun())
        kit.build(ONE)
        assert len(ran) == 2

    def test_it_begins_again_once(self, kit: Kit, disk: Disk) -> None:
        another_build(kit, 30 * GB)
        ran = on_feature(kit, lambda call: NO_SPACE)
        error = failure(kit)
        assert (error.error_code, len(ran)) == ("disk_full", 2)
        assert "No space left on device" in error.message

    def test_it_does_not_begin_while_there_is_no_room(self, kit: Kit, disk: Disk) -> None:
        another_build(kit, 30 * GB)

        def full(call: FakeExec) -> FakeRun:
            disk.free = 0
            return NO_SPACE

        ran = on_feature(kit, full)
        assert failure(kit).error_code == "disk_full"
        assert len(ran) == 1

    def test_the_build_that_filled_it_fails_at_once(self, kit: Kit, disk: Disk) -> None:
        another_build(kit, GB)

        def fill(call: FakeExec) -> FakeRun:
            kit.engine.written[call.container] = 30 * GB
            disk.free = 0
            return NO_SPACE

        ran = on_feature(kit, fill)
        error = failure(kit)
        assert isinstance(error, BuildStepFailed)
        assert (error.error_code, len(ran)) == ("disk_full", 1)

    def test_a_container_that_finds_no_room_is_made_again(self, kit: Kit, disk: Disk) -> None:
        kit.engine.fail_next("create_container", DiskFull("no space left"))
        kit.build()

    def test_a_disk_that_is_not_seen_is_not_waited_for(self, kit: Kit) -> None:
        another_build(kit, 30 * GB)
        ran = on_feature(kit, lambda call: NO_SPACE)
        assert failure(kit).error_code == "disk_full"
        assert len(ran) == 1
