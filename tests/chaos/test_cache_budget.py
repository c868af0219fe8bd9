"""The disk budget on an engine of its own, whose data root is a small disk: by ``df``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cache.gc import sweep
from cache.models import DockerHost, Layer
from crewship.engine.base import ContainerSpec
from crewship.engine.docker import DockerEngine
from crewship.settings.env import Amount
from provisioning.retire import retire_image
from tests.engine.bench import Bench
from tests.engine.real import BASE_IMAGE
from tests.stack.engine import OwnEngine, own_engine

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
MB = 1_000_000
LAYER_MB = 60
SLACK_MB = 8  # metadata of the file system and of the engine


@pytest.fixture(scope="module")
def own() -> Iterator[OwnEngine]:
    with own_engine(1500) as made:
        yield made


@pytest.fixture
def bench(own: OwnEngine) -> Bench:
    return Bench(DockerEngine({"base_url": own.host}))


@pytest.fixture
def host(db: None) -> DockerHost:
    return DockerHost.objects.create(name="small-disk")


def used_mb(own: OwnEngine) -> float:
    return shutil.disk_usage(own.data_root).used / MB


def layer(bench: Bench, host: DockerHost, key: str, on: str, age_h: float) -> Layer:
    """LAYER_MB of random bytes on an image of which we know the id."""
    container = bench.container(on)
    write = f"head -c {LAYER_MB * MB} /dev/urandom > /{key}; sync"
    assert bench.run(container, ["/bin/sh", "-c", write])[0].exit_code == 0
    image_id = bench.commit(container, key)
    bench.engine.remove_container(container)
    tag = f"crewship-layer:{key}"
    bench.engine.tag(image_id, tag)
    bench.engine.remove_image(bench.tag(key))
    return Layer.objects.create(
        host=host, key=key, tag=tag, kind="feature", label=key, job_id="job_x",
        image_id=image_id, parent_image_id=on,
        last_used_at=timezone.now() - timedelta(hours=age_h),
    )  # fmt: skip


def test_freed_bytes_are_those_of_df_and_the_low_water_is_reached(
    own: OwnEngine, bench: Bench, host: DockerHost, set_gc: Callable[..., Any]
) -> None:
    base = bench.engine.image(BASE_IMAGE)
    assert base is not None
    shared = layer(bench, host, "shared", base.image_id, age_h=40)
    for number in range(4):  # 60 MB of their own each, 60 MB that they share
        layer(bench, host, f"leaf{number}", shared.image_id, age_h=30 - number)
    set_gc(high_water=Amount(size_bytes=250 * MB), low_water=Amount(size_bytes=190 * MB))
    before = used_mb(own)
    report = sweep(bench.engine, host, remove=True)
    freed = before - used_mb(own)
    print(
        f"used by df {before:.1f} MB, freed by df {freed:.1f} MB, "
        f"reported {report.freed_bytes / MB:.1f} of {report.used_bytes / MB:.1f} MB"
    )
    assert [item.tag.rpartition(":")[2] for item in report.items] == ["leaf0", "leaf1"]
    assert abs(report.used_bytes / MB - 5 * LAYER_MB) < 1
    assert abs(report.freed_bytes / MB - 2 * LAYER_MB) < 1
    assert abs(freed - report.freed_bytes / MB) < SLACK_MB
    assert sweep(bench.engine, host, remove=True).items == []  # within the budget
    Layer.objects.update(last_used_at=timezone.now() - timedelta(days=8))
    left = sweep(bench.engine, host, remove=True)
    assert abs(before - used_mb(own) - (report.freed_bytes + left.freed_bytes) / MB) < SLACK_MB
    assert not Layer.objects.exists()


def test_a_rebuild_under_a_running_agent_leaves_no_image_without_a_name(
    own: OwnEngine, bench: Bench, host: DockerHost
) -> None:
    base = bench.engine.image(BASE_IMAGE)
    assert base is not None
    before = used_mb(own)
    under = layer(bench, host, "under", base.image_id, age_h=24 * 9)
    final = layer(bench, host, "final", under.image_id, age_h=24 * 9)
    tag = "crewship-cache:aaaaaaaaaaaa"
    bench.engine.tag(final.image_id, tag)
    bench.engine.remove_image(final.tag)
    final.delete()
    agent = f"{bench.prefix}-agent"
    bench.engine.create_container(ContainerSpec(agent, final.image_id))
    bench.engine.start_container(agent)
    bench.engine.tag(base.image_id, tag)  # a rebuild: the tag is another image's now
    retire_image(bench.engine, host, final.image_id)
    Layer.objects.update(last_used_at=timezone.now() - timedelta(days=8))
    kept = sweep(bench.engine, host, remove=True)  # while the agent runs
    assert kept.items == []
    assert len(kept.kept_in_use) == 1
    bench.engine.remove_container(agent)
    report = sweep(bench.engine, host, remove=True)
    assert [item.kind for item in report.items] == ["layer", "layer"]
    bench.engine.remove_image(tag)
    dangling = own.run_docker("images", "--all", "--quiet", "--filter", "dangling=true")
    assert dangling.stdout.split() == []
    assert abs(used_mb(own) - before) < SLACK_MB
    assert abs(report.freed_bytes / MB - 2 * LAYER_MB) < 1
