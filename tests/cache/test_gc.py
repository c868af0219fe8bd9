"""What the sweeper may take: never what is referenced, young, leased or not ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cache import gc
from cache.gc import image_candidates, layer_candidates, sweep
from cache.models import CachedImage, DockerHost, Layer, LayerLease, UpkeepProblem
from crewship.crews.models import Agent, Crew
from crewship.domain.errors import EngineError, EngineUnreachable, ImageInUse
from crewship.engine.fake import FakeEngine
from tests.cast import Cast
from tests.conftest import ImageMaker

OLD = 3600.0
HASH = "ab" * 32
TAG = "crewship-cache:abababababab"
WEEK = timedelta(days=8)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def image(engine: FakeEngine, make_image: ImageMaker) -> CachedImage:
    """Old, and nobody's."""
    return make_image(HASH, age_s=OLD, image_id=engine.add_image(TAG))


@pytest.fixture
def make_layer(engine: FakeEngine, host: DockerHost) -> Callable[..., Layer]:
    def make(key: str, parent: Layer | None = None, **fields: Any) -> Layer:
        tag = f"crewship-layer:{key}"
        values = {
            "kind": "feature",
            "label": key,
            "image_id": engine.add_image(tag),
            "parent_image_id": parent.image_id if parent else "sha256:base",
            "job_id": "job_x",
            "last_used_at": timezone.now() - WEEK,
            **fields,
        }
        return Layer.objects.create(host=host, key=key, tag=tag, **values)

    return make


def tags(engine: FakeEngine) -> set[str]:
    names = [*engine.image_tags("crewship-cache"), *engine.image_tags("crewship-layer")]
    return {image.tag for image in names}


def test_report_only_lists_and_removes_nothing(
    engine: FakeEngine, host: DockerHost, image: CachedImage, make_layer: Any
) -> None:
    make_layer("k1")
    report = sweep(engine, host, remove=False)
    assert {(item.tag, item.kind) for item in report.items} == {
        (TAG, "image"),
        ("crewship-layer:k1", "layer"),
    }
    assert report.removed is False
    assert tags(engine) == {TAG, "crewship-layer:k1"}
    assert CachedImage.objects.get().deleting_at is None
    assert Layer.objects.exists()


def test_removing_takes_image_and_records(
    engine: FakeEngine, host: DockerHost, image: CachedImage, make_layer: Any
) -> None:
    make_layer("k1")
    report = sweep(engine, host, remove=True)
    assert len(report.items) == 2
    assert tags(engine) == set()
    assert not CachedImage.objects.exists()
    assert not Layer.objects.exists()
    assert not host.seen_images.exists()


@pytest.mark.parametrize("who", ["crew", "strange_crew"])
def test_a_crew_of_any_workspace_keeps_its_image(
    who: str, engine: FakeEngine, host: DockerHost, image: CachedImage, cast: Cast
) -> None:
    Crew.objects.filter(pk=getattr(cast, who).pk).update(cached_image=TAG)
    assert sweep(engine, host, remove=True).items == []
    assert TAG in tags(engine)


def test_a_live_agent_keeps_its_image(
    engine: FakeEngine, host: DockerHost, image: CachedImage, cast: Cast
) -> None:
    Agent.objects.create(crew=cast.strange_crew, name="a1", live_image_id=image.image_id)
    assert sweep(engine, host, remove=True).items == []


@pytest.mark.parametrize(("made_s", "used_s"), [(299, 299), (OLD, 10), (299, OLD)])
def test_a_young_or_lately_used_image_is_kept(
    made_s: float, used_s: float, host: DockerHost, image: CachedImage
) -> None:
    now = timezone.now()
    CachedImage.objects.update(
        created_at=now - timedelta(seconds=made_s), last_used_at=now - timedelta(seconds=used_s)
    )
    assert not image_candidates(host).exists()


def test_the_floor_is_a_setting(
    host: DockerHost, image: CachedImage, set_gc: Callable[..., Any]
) -> None:
    set_gc(floor_s=7200)
    assert not image_candidates(host).exists()


def after_the_listing(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    real = gc._chosen

    def choose(*args: Any) -> Any:
        chosen = real(*args)
        assert chosen
        happens()
        return chosen

    monkeypatch.setattr(gc, "_chosen", choose)


def test_an_image_linked_in_the_last_moment_is_kept(
    engine: FakeEngine,
    host: DockerHost,
    image: CachedImage,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the listing and the removal a provision hits the image."""
    crew = Crew.objects.filter(pk=cast.crew.pk)
    after_the_listing(monkeypatch, lambda: crew.update(cached_image=TAG))
    assert sweep(engine, host, remove=True).items == []
    assert TAG in tags(engine)


def test_what_only_looks_like_ours_is_never_touched(engine: FakeEngine, host: DockerHost) -> None:
    for tag in ("crewship-cache:000000000000", "crewship-layer:zzz", "debian:sid"):
        engine.add_image(tag)
    assert sweep(engine, host, remove=True).items == []
    assert len(tags(engine)) == 2
    assert engine.image("debian:sid")


def test_a_tag_that_names_another_image_now_keeps_it(
    engine: FakeEngine, host: DockerHost, image: CachedImage
) -> None:
    foreign = engine.add_image(TAG)
    sweep(engine, host, remove=True)
    seen = engine.image(TAG)
    assert seen is not None
    assert seen.image_id == foreign


def test_images_of_another_host_are_its_own(
    engine: FakeEngine, host: DockerHost, make_image: ImageMaker
) -> None:
    make_image(HASH, age_s=OLD, host=DockerHost.objects.create(name="other"))
    assert sweep(engine, host, remove=True).items == []


def test_an_image_in_use_is_reported_and_unmarked(
    engine: FakeEngine, host: DockerHost, image: CachedImage
) -> None:
    engine.fail_next("remove_image", ImageInUse("in use"))
    report = sweep(engine, host, remove=True)
    assert (report.items, report.kept_in_use) == ([], [TAG])
    assert CachedImage.objects.get().deleting_at is None


# -- layers


def test_layers_go_leaf_first(engine: FakeEngine, host: DockerHost, make_layer: Any) -> None:
    root = make_layer("k1")
    middle = make_layer("k2", root)
    leaf = make_layer("k3", middle)
    assert layer_candidates(host) == [leaf, middle, root]
    sweep(engine, host, remove=True)
    removed = [call["reference"] for call in engine.call_args("remove_image")]
    assert removed == [leaf.tag, middle.tag, root.tag]


def test_a_layer_used_lately_keeps_all_it_stands_on(host: DockerHost, make_layer: Any) -> None:
    root = make_layer("k1")
    middle = make_layer("k2", root)
    make_layer("k3", middle, last_used_at=timezone.now())
    side = make_layer("k4", root)
    assert layer_candidates(host) == [side]


def test_an_image_keeps_the_layers_it_stands_on(
    host: DockerHost, make_layer: Any, make_image: ImageMaker
) -> None:
    root = make_layer("k1")
    tip = make_layer("k2", root)
    make_image(HASH, parent_image_id=tip.image_id)
    assert layer_candidates(host) == []


def test_a_leased_layer_keeps_itself_and_what_it_stands_on(
    host: DockerHost, make_layer: Any
) -> None:
    root = make_layer("k1")
    make_layer("k2", root)
    LayerLease.objects.create(host=host, key="k2", job_id="job_x", fence=1)
    assert layer_candidates(host) == []


def test_a_layer_under_way_is_no_candidate_and_keeps_its_parent(
    host: DockerHost, make_layer: Any
) -> None:
    root = make_layer("k1")
    make_layer("k2", root, image_id="", last_used_at=timezone.now())
    assert layer_candidates(host) == []


def test_a_layer_taken_up_in_the_last_moment_is_kept(
    engine: FakeEngine, host: DockerHost, make_layer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = make_layer("k1")
    used = timezone.now()
    after_the_listing(monkeypatch, lambda: Layer.objects.update(last_used_at=used))
    assert sweep(engine, host, remove=True).items == []
    assert Layer.objects.filter(pk=layer.pk).exists()
    assert layer.tag in tags(engine)


def test_a_layer_in_use_stays_in_the_records(
    engine: FakeEngine, host: DockerHost, make_layer: Any
) -> None:
    layer = make_layer("k1")
    engine.fail_next("remove_image", ImageInUse("in use"))
    report = sweep(engine, host, remove=True)
    assert report.kept_in_use == [layer.tag]
    assert Layer.objects.filter(tag=layer.tag).exists()


def test_what_the_engine_fails_to_remove_stops_only_itself(
    engine: FakeEngine, host: DockerHost, image: CachedImage, make_layer: Any
) -> None:
    layers = [make_layer(key) for key in ("k1", "k2")]
    for _ in range(2):  # the layer that was used least lately goes first, the image last
        engine.fail_next("remove_image", EngineError("driver failed"))
    Layer.objects.filter(pk=layers[0].pk).update(last_used_at=timezone.now() - WEEK * 2)
    CachedImage.objects.update(last_used_at=timezone.now() - WEEK * 3)
    report = sweep(engine, host, remove=True)
    assert [item.tag for item in report.items] == [layers[1].tag]
    assert CachedImage.objects.get().deleting_at is None
    problems = UpkeepProblem.objects.values_list("kind", "name")
    assert set(problems) == {("remove image", TAG), ("remove layer", layers[0].tag)}
    assert sweep(engine, host, remove=True).items == []  # its time has not come
    assert len(sweep(engine, host, remove=True, at_once=True).items) == 2
    assert not UpkeepProblem.objects.exists()


def test_a_layer_stays_in_the_records_when_the_engine_goes_away(
    engine: FakeEngine, host: DockerHost, make_layer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing of ours would name its image any more, and it would stay for ever."""
    layer = make_layer("k1")

    def go_away() -> None:
        engine.unreachable = True
        raise EngineUnreachable("gone")

    monkeypatch.setattr(engine, "remove_image", lambda _tag, **_: go_away())
    with pytest.raises(EngineUnreachable):
        sweep(engine, host, remove=True)
    assert Layer.objects.filter(tag=layer.tag, image_id=layer.image_id).exists()


def test_an_earlier_builds_image_that_an_agent_runs_is_kept(
    host: DockerHost, make_layer: Any, cast: Cast
) -> None:
    retired = make_layer("retired")
    Agent.objects.create(crew=cast.crew, name="a", live_image_id=retired.image_id)
    assert layer_candidates(host) == []
