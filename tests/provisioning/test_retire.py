from __future__ import annotations

import pytest

from cache.models import DockerHost, Layer
from crewship.domain.errors import ImageInUse
from crewship.engine.fake import FakeEngine
from provisioning.retire import retire_image
from tests.conftest import ImageMaker

TAG = "crewship-cache:abababababab"
HASH = "ab" * 32


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def unnamed(engine: FakeEngine) -> str:
    """An image whose tag moved on to another one."""
    image_id = engine.add_image(TAG)
    engine.add_image(TAG)
    return image_id


def test_an_image_without_name_goes(engine: FakeEngine, host: DockerHost, unnamed: str) -> None:
    retire_image(engine, host, unnamed)
    assert engine.image(unnamed) is None
    assert engine.image(TAG) is not None


def test_an_image_of_our_records_stays(
    engine: FakeEngine, host: DockerHost, unnamed: str, make_image: ImageMaker
) -> None:
    make_image(HASH, image_id=unnamed)
    retire_image(engine, host, unnamed)
    assert engine.image(unnamed) is not None


def test_an_image_with_another_name_stays(
    engine: FakeEngine, host: DockerHost, unnamed: str
) -> None:
    engine.tag(unnamed, "somebody/else:1")
    retire_image(engine, host, unnamed)
    assert engine.image(unnamed) is not None


def test_an_image_in_use_is_remembered_for_the_sweeper(
    engine: FakeEngine, host: DockerHost, unnamed: str
) -> None:
    engine.fail_next("remove_image", ImageInUse("in use"))
    retire_image(engine, host, unnamed)
    layer = Layer.objects.get()
    assert (layer.kind, layer.image_id) == ("retired", unnamed)
    seen = engine.image(layer.tag)
    assert seen is not None
    assert seen.image_id == unnamed


def test_a_tag_that_no_record_backs_goes_with_its_image(
    engine: FakeEngine, host: DockerHost
) -> None:
    image_id = engine.add_image(TAG)
    retire_image(engine, host, image_id, tag=TAG)
    assert engine.image(TAG) is None


def test_a_tag_that_names_another_image_by_now_stays(
    engine: FakeEngine, host: DockerHost, unnamed: str
) -> None:
    retire_image(engine, host, unnamed, tag=TAG)
    assert engine.image(TAG) is not None
