"""The watcher's half of a DELETE: what is marked goes, what is in use is unmarked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cache.models import CachedImage, DockerHost, HostImage, UpkeepProblem
from cache.selectors import cache_tag
from cache.services import carry_out_removals, record_image
from crewship.domain.errors import EngineError, EngineUnreachable, ImageInUse
from crewship.engine.base import ImageInfo
from crewship.engine.fake import FakeEngine
from tests.conftest import ImageMaker

HASH = "ab" * 32
TAG = "crewship-cache:abababababab"


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def marked(engine: FakeEngine, make_image: ImageMaker) -> CachedImage:
    return make_image(HASH, image_id=engine.add_image(TAG), deleting_at=timezone.now())


def test_a_marked_image_goes(engine: FakeEngine, host: DockerHost, marked: CachedImage) -> None:
    assert carry_out_removals(engine, host) == 1
    assert engine.image(TAG) is None
    assert not CachedImage.objects.exists()
    assert not HostImage.objects.exists()


def test_an_unmarked_image_stays(engine: FakeEngine, host: DockerHost, marked: CachedImage) -> None:
    CachedImage.objects.update(deleting_at=None)
    assert carry_out_removals(engine, host) == 0
    assert engine.calls == []


def test_an_image_in_use_is_unmarked(
    engine: FakeEngine, host: DockerHost, marked: CachedImage
) -> None:
    engine.fail_next("remove_image", ImageInUse("in use"))
    assert carry_out_removals(engine, host) == 0
    assert CachedImage.objects.get().deleting_at is None
    assert not UpkeepProblem.objects.exists()


def test_one_that_the_engine_fails_to_remove_stops_only_itself(
    engine: FakeEngine, host: DockerHost, marked: CachedImage, make_image: ImageMaker
) -> None:
    other = "cd" * 32
    make_image(other, image_id=engine.add_image(cache_tag(other)), deleting_at=timezone.now())
    engine.fail_next("remove_image", EngineError("driver failed"))
    assert carry_out_removals(engine, host) == 1
    left, problem = CachedImage.objects.get(), UpkeepProblem.objects.get()
    assert left.deleting_at is not None
    assert (problem.kind, problem.name) == ("carry out removal", left.tag)
    assert carry_out_removals(engine, host) == 0  # its time has not come
    UpkeepProblem.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    assert carry_out_removals(engine, host) == 1
    assert not UpkeepProblem.objects.exists()


def test_marks_wait_for_an_engine_that_is_away(
    engine: FakeEngine, host: DockerHost, marked: CachedImage
) -> None:
    engine.unreachable = True
    with pytest.raises(EngineUnreachable):
        carry_out_removals(engine, host)
    assert CachedImage.objects.get().deleting_at is not None
    assert not UpkeepProblem.objects.exists()


def test_an_image_that_left_the_host_leaves_the_records(
    engine: FakeEngine, host: DockerHost, marked: CachedImage
) -> None:
    engine.remove_image(TAG)
    assert carry_out_removals(engine, host) == 1
    assert not CachedImage.objects.exists()


def test_another_hosts_marks_are_its_own(
    engine: FakeEngine, host: DockerHost, marked: CachedImage
) -> None:
    other = DockerHost.objects.create(name="other")
    assert carry_out_removals(engine, other) == 0


def test_an_image_that_a_build_put_there_meanwhile_keeps_its_record(
    host: DockerHost, make_image: ImageMaker
) -> None:
    """A rebuild of the same hash ends between the watcher's look at the marks and its removal."""

    class BusyEngine(FakeEngine):
        def image(self, reference: str) -> ImageInfo | None:
            if not CachedImage.objects.filter(deleting_at=None).exists():
                info = super().image(self.add_image(TAG))
                assert info is not None
                record_image(
                    host=host,
                    config_hash=HASH,
                    image=info,
                    parent_image_id="",
                    requirements={},
                    provenance={},
                    job_id="job_x",
                )
            return super().image(reference)

    engine = BusyEngine()
    make_image(HASH, image_id=engine.add_image(TAG), deleting_at=timezone.now())
    carry_out_removals(engine, host)
    record, seen = CachedImage.objects.get(), engine.image(TAG)
    assert seen is not None
    assert (record.image_id, record.deleting_at) == (seen.image_id, None)
    assert HostImage.objects.get().image_id == seen.image_id
