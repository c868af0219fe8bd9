"""The disk budget of what we made: what goes, in which order, how much at once, what is counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cache.gc import A_HALF, A_QUARTER, TooMuchAtOnce, sweep
from cache.models import CachedImage, DockerHost, Layer, LayerLease, UpkeepProblem
from cache.stock import read_stock
from crewship.crews.models import Agent, Crew
from crewship.domain.errors import EngineError, SettingsError
from crewship.engine.base import ContainerSpec
from crewship.engine.fake import FakeEngine
from crewship.settings.env import Amount, amount
from provisioning.retire import retire_image
from provisioning.states import JobState
from provisioning.sweep_cache import sweep_cache
from tests.cast import Cast
from tests.conftest import ImageMaker, JobMaker

MB = 1_000_000
BASE = "debian:bookworm-slim"


class Shelf:
    """Layers and images on one base of 100 MB, with ages in hours."""

    def __init__(self, engine: FakeEngine, host: DockerHost, make_image: ImageMaker) -> None:
        self.engine, self.host, self._make_image = engine, host, make_image
        self.base = engine.add_image(BASE, size_bytes=100 * MB)
        self._sizes = {self.base: 100 * MB}

    def _add(self, tag: str, parent: str, own_mb: int) -> str:
        size = self._sizes[parent] + own_mb * MB
        image_id = self.engine.add_image(tag, parent=parent, size_bytes=size)
        self._sizes[image_id] = size
        return image_id

    def layer(self, key: str, own_mb: int, on: str = "", age_h: float = 24, **more: Any) -> Layer:
        tag = f"crewship-layer:{key}"
        image_id = self._add(tag, on or self.base, own_mb)
        values = {
            "kind": "feature", "label": key, "job_id": "job_x", "image_id": image_id,
            "parent_image_id": on or self.base, "size_bytes": self._sizes[image_id],
            "last_used_at": timezone.now() - timedelta(hours=age_h), **more,
        }  # fmt: skip
        return Layer.objects.create(host=self.host, key=key, tag=tag, **values)

    def image(self, digit: str, own_mb: int, on: str = "", age_h: float = 24) -> CachedImage:
        parent = on or self.base
        image_id = self._add(f"crewship-cache:{digit * 12}", parent, own_mb)
        return self._make_image(
            digit * 64, image_id=image_id, parent_image_id=parent, age_s=age_h * 3600
        )

    def sweep(self, **how: Any) -> list[str]:
        report = sweep(self.engine, self.host, **{"remove": True, "disk_bytes": 1000 * MB, **how})
        return [item.tag.rpartition(":")[2] for item in report.items]


@pytest.fixture
def shelf(host: DockerHost, make_image: ImageMaker, set_gc: Callable[..., Any]) -> Shelf:
    set_gc(high_water=Amount(percent=80), low_water=Amount(percent=60))
    return Shelf(FakeEngine(), host, make_image)


def test_below_the_high_water_nothing_that_is_young_goes(shelf: Shelf) -> None:
    shelf.layer("a", 400)
    shelf.layer("b", 400)
    assert shelf.sweep() == []


def test_above_it_the_least_recently_used_go_down_to_the_low_water(shelf: Shelf) -> None:
    shelf.layer("newer", 300, age_h=10)
    shelf.layer("oldest", 300, age_h=30)
    shelf.layer("older", 300, age_h=20)
    assert shelf.sweep() == ["oldest"]  # 900 MB were above 800, 600 are not above 600
    assert read_stock(shelf.engine, shelf.host).used_bytes == 600 * MB


def test_leaves_go_before_what_they_stand_on(shelf: Shelf) -> None:
    root = shelf.layer("root", 300, age_h=30)
    middle = shelf.layer("middle", 300, on=root.image_id, age_h=30)
    shelf.layer("leaf", 300, on=middle.image_id, age_h=1)
    assert shelf.sweep() == ["leaf"]


def test_what_a_crew_an_agent_a_lease_or_the_last_minutes_hold_stays(
    shelf: Shelf, cast: Cast
) -> None:
    under = shelf.layer("under", 200)
    image = shelf.image("a", 100, on=under.image_id)
    Crew.objects.filter(pk=cast.crew.pk).update(cached_image=image.tag)
    run = shelf.layer("run", 200, kind="retired")
    Agent.objects.create(crew=cast.crew, name="a", live_image_id=run.image_id)
    shelf.layer("leased", 200)
    LayerLease.objects.create(host=shelf.host, key="leased", job_id="job_x", fence=1)
    shelf.layer("young", 200, age_h=0)
    parent = shelf.layer("parent", 200)
    Layer.objects.create(
        host=shelf.host, key="draft", tag="crewship-layer:draft", kind="feature", label="x",
        job_id="job_x", parent_image_id=parent.image_id, last_used_at=timezone.now(),
    )  # fmt: skip
    assert shelf.sweep() == []


def test_the_newest_image_of_a_crew_stays_though_it_references_none(
    shelf: Shelf, cast: Cast, make_job: JobMaker
) -> None:
    """As while it is being rebuilt, or after its config was edited."""
    earlier, newest = shelf.image("a", 500, age_h=30), shelf.image("b", 500, age_h=20)
    now = timezone.now()
    for image, at in ((earlier, now - timedelta(hours=1)), (newest, now)):
        make_job(cast.crew, JobState.COMPLETED, image_id=image.image_id, finished_at=at)
    report = sweep_cache(shelf.engine, shelf.host, remove=True)
    assert [item.tag for item in report.items] == [earlier.tag]


def test_what_others_have_on_the_disk_does_not_count(shelf: Shelf) -> None:
    shelf.layer("a", 100)
    shelf.engine.add_image("somebody/else:1", size_bytes=5000 * MB)
    shelf.engine.add_image("crewship-layer:of-another-installation", size_bytes=5000 * MB)
    assert shelf.sweep() == []
    assert read_stock(shelf.engine, shelf.host).used_bytes == 100 * MB


def test_it_stops_when_no_more_of_ours_can_go(shelf: Shelf) -> None:
    shelf.layer("young", 900, age_h=0)
    shelf.layer("old", 50)
    assert shelf.sweep() == ["old"]
    assert shelf.sweep() == []


def test_a_shared_layer_counts_once_and_a_base_not_at_all(shelf: Shelf) -> None:
    shared = shelf.layer("shared", 50)
    for digit in "abc":
        shelf.image(digit, 10, on=shared.image_id)
    assert read_stock(shelf.engine, shelf.host).used_bytes == 80 * MB


def test_a_round_of_the_sweeper_removes_at_most_a_quarter_but_at_least_one(shelf: Shelf) -> None:
    for number, age_h in enumerate((9, 8, 7, 6, 5)):
        shelf.image("abcde"[number], 100, age_h=age_h)
    assert shelf.sweep(share=A_QUARTER) == ["a" * 12]  # of 500 MB: one is 100, two are more
    assert shelf.sweep(share=A_QUARTER) == ["b" * 12]
    assert shelf.sweep(share=A_QUARTER) == ["c" * 12]  # a third of what is left


def test_more_than_half_by_hand_is_refused_and_removes_nothing(shelf: Shelf) -> None:
    shelf.image("a", 60)
    shelf.layer("b", 40)
    with pytest.raises(TooMuchAtOnce, match="60 MB of 100 MB") as caught:
        shelf.sweep(share=A_HALF)
    assert "--yes" in caught.value.error_hint
    assert shelf.engine.call_args("remove_image") == []
    assert shelf.sweep(share=None) == ["a" * 12]


def test_half_by_hand_is_not_refused(shelf: Shelf) -> None:
    shelf.image("a", 50)
    shelf.layer("b", 50)
    assert shelf.sweep(share=A_HALF) == ["a" * 12]


def test_without_removing_it_only_reports(shelf: Shelf) -> None:
    shelf.layer("a", 900)
    report = sweep(shelf.engine, shelf.host, remove=False, disk_bytes=1000 * MB)
    assert [(item.tag, item.freed_bytes) for item in report.items] == [
        ("crewship-layer:a", 900 * MB)
    ]
    assert (report.used_bytes, report.high_bytes, report.low_bytes) == (
        900 * MB, 800 * MB, 600 * MB,
    )  # fmt: skip
    assert report.over_budget
    assert Layer.objects.exists()


def test_freed_is_what_the_engine_has_no_more(shelf: Shelf) -> None:
    gone, named = shelf.image("a", 30), shelf.image("b", 70)
    shelf.engine.tag(named.image_id, "somebody/else:1")
    report = sweep(shelf.engine, shelf.host, remove=True)
    freed = {item.tag: item.freed_bytes for item in report.items}
    assert freed == {gone.tag: 30 * MB, named.tag: 0}
    assert report.freed_bytes == 30 * MB


def test_an_image_that_a_stopped_container_uses_keeps_its_name(shelf: Shelf) -> None:
    """Else it would be left without one, and nothing of ours would name it."""
    image = shelf.image("a", 30)
    shelf.engine.create_container(ContainerSpec(name="stopped", image=image.tag))
    report = sweep(shelf.engine, shelf.host, remove=True)
    assert (report.items, report.kept_in_use) == ([], [image.tag])
    assert CachedImage.objects.get().deleting_at is None


def test_what_stands_under_something_that_failed_keeps_its_name(shelf: Shelf) -> None:
    root = shelf.layer("root", 30, age_h=24 * 9)
    shelf.layer("leaf", 30, on=root.image_id, age_h=24 * 9)
    shelf.engine.fail_next("remove_image", EngineError("driver failed"))
    assert shelf.sweep() == []
    assert shelf.engine.image(root.tag) is not None
    UpkeepProblem.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    assert shelf.sweep() == ["leaf", "root"]


def test_a_replaced_image_knows_what_it_stands_on_and_goes_first(shelf: Shelf, cast: Cast) -> None:
    under = shelf.layer("under", 30, age_h=24 * 9)
    image = shelf.image("a", 20, on=under.image_id)
    CachedImage.objects.all().delete()
    shelf.engine.tag(shelf.base, image.tag)  # the rebuild's tag is another image's now
    shelf.engine.create_container(ContainerSpec(name="agent", image=image.image_id))
    retire_image(shelf.engine, shelf.host, image.image_id)
    row = Layer.objects.get(kind="retired")
    assert (row.parent_image_id, row.size_bytes) == (under.image_id, 150 * MB)
    Layer.objects.filter(pk=row.pk).update(last_used_at=timezone.now() - timedelta(hours=1))
    assert shelf.sweep() == []  # the agent's container is there
    assert shelf.engine.image(under.tag) is not None
    shelf.engine.remove_container("agent")
    assert shelf.sweep() == [row.tag.rpartition(":")[2], "under"]
    assert shelf.engine.image(image.image_id) is None


def test_a_replaced_image_of_an_older_version_is_completed(shelf: Shelf) -> None:
    under = shelf.layer("under", 30, age_h=24 * 9)
    shelf.layer("retired-x", 20, on=under.image_id, age_h=24 * 9, kind="retired", size_bytes=0)
    Layer.objects.filter(kind="retired").update(parent_image_id="")
    assert shelf.sweep() == ["retired-x", "under"]


def test_an_absolute_budget_needs_no_disk(shelf: Shelf, set_gc: Callable[..., Any]) -> None:
    set_gc(high_water=Amount(size_bytes=100 * MB), low_water=Amount(size_bytes=50 * MB))
    shelf.layer("a", 80)
    shelf.layer("b", 50)
    assert len(shelf.sweep(disk_bytes=None)) >= 1


def test_without_a_disk_a_part_of_it_is_no_budget(shelf: Shelf) -> None:
    shelf.layer("a", 9000)
    assert shelf.sweep(disk_bytes=None) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("75%", Amount(percent=75)),
        ("50GB", Amount(size_bytes=50 * 10**9)),
        ("1.5 tb", Amount(size_bytes=1500 * 10**9)),
        ("", Amount(percent=80)),
    ],
)
def test_amounts_are_read(text: str, expected: Amount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWSHIP_CACHE_HIGH_WATER", text)
    assert amount("CREWSHIP_CACHE_HIGH_WATER", Amount(percent=80)) == expected


@pytest.mark.parametrize("text", ["80", "120%", "-5%", "many", "5 GiB%", "1e9B"])
def test_other_amounts_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWSHIP_CACHE_HIGH_WATER", text)
    with pytest.raises(SettingsError, match="CREWSHIP_CACHE_HIGH_WATER"):
        amount("CREWSHIP_CACHE_HIGH_WATER", Amount(percent=80))
