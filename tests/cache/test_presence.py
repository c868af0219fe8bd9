"""The watcher's view of the host: HostImage rows are what the engine lists under our names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cache.models import DockerHost, HostImage
from cache.presence import reconcile
from crewship.engine.base import ImageTag
from crewship.engine.fake import FakeEngine
from tests.conftest import image_id_of

TAG = "crewship-cache:abababababab"


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def rows() -> dict[str, str]:
    return dict(HostImage.objects.values_list("tag", "image_id"))


def test_only_names_of_ours_are_written_down(engine: FakeEngine, host: DockerHost) -> None:
    image, layer = engine.add_image(TAG), engine.add_image("crewship-layer:k")
    engine.add_image("debian:sid")
    engine.add_image("other/crewship-cache:abababababab")
    assert reconcile(engine, host) == 2
    assert rows() == {TAG: image, "crewship-layer:k": layer}


def test_nothing_new_is_nothing_written(engine: FakeEngine, host: DockerHost) -> None:
    engine.add_image(TAG)
    reconcile(engine, host)
    assert reconcile(engine, host) == 0


def test_a_moved_tag_is_seen(engine: FakeEngine, host: DockerHost) -> None:
    engine.add_image(TAG)
    reconcile(engine, host)
    moved = engine.add_image(TAG)
    assert reconcile(engine, host) == 1
    assert rows() == {TAG: moved}


def test_a_removed_image_is_seen(engine: FakeEngine, host: DockerHost) -> None:
    engine.add_image(TAG)
    reconcile(engine, host)
    engine.remove_image(TAG)
    assert reconcile(engine, host) == 1
    assert rows() == {}


def test_another_hosts_rows_stay(engine: FakeEngine, host: DockerHost) -> None:
    other = DockerHost.objects.create(name="other")
    HostImage.objects.create(
        host=other, tag=TAG, image_id="sha256:x", updated_at=timezone.now() - timedelta(days=1)
    )
    reconcile(engine, host)
    assert rows() == {TAG: "sha256:x"}


class SlowEngine(FakeEngine):
    """Something happens while it lists."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def image_tags(self, repository: str) -> list[ImageTag]:
        listed = super().image_tags(repository)
        self._meanwhile()
        return listed


def newer(host: DockerHost) -> None:
    values: dict[str, Any] = {"image_id": image_id_of("newer"), "updated_at": timezone.now()}
    HostImage.objects.update_or_create(host=host, tag=TAG, defaults=values)


def test_a_row_written_after_the_asking_is_not_taken_away(host: DockerHost) -> None:
    reconcile(SlowEngine(lambda: newer(host)), host)
    assert rows() == {TAG: image_id_of("newer")}


def test_a_row_written_after_the_asking_is_not_overwritten(host: DockerHost) -> None:
    engine = SlowEngine(lambda: newer(host))
    engine.add_image(TAG)
    reconcile(engine, host)
    assert rows() == {TAG: image_id_of("newer")}
