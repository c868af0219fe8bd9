"""How the installation is, as it is told everywhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from cache.hosts import note_disks, note_sweep
from cache.models import DockerHost
from cache.upkeep import Kind, attempt
from catalogs.models import CatalogKind, CatalogState
from crewship.domain.errors import EngineError
from crewship.engine.disk import DiskSpace
from provisioning.concerns import Concern, can_provision, concerns_of
from provisioning.health import installation_health
from provisioning.models import ProvisionJob, SchedulerState
from provisioning.worker_processes import beat, end
from tests.cast import Cast
from tests.conftest import JobMaker

GB = 10**9


def concerns() -> tuple[Concern, ...]:
    return concerns_of(installation_health())


def codes() -> list[str]:
    return [concern.code for concern in concerns()]


@pytest.fixture
def well(host: DockerHost) -> DockerHost:
    """A host beside which nothing is wrong."""
    SchedulerState.objects.create(heartbeat_at=Now())
    for kind in CatalogKind:
        CatalogState.objects.create(kind=kind, fetched_at=timezone.now())
    beat("worker-1", host.name)
    note_sweep(host.pk)
    note_disks(host.pk, DiskSpace("/data", 100 * GB, 50 * GB), None)
    return host


def heard_of(seconds_ago: float) -> None:
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=seconds_ago))


def test_nothing_is_said_when_all_is_well(well: DockerHost) -> None:
    health = installation_health()
    assert concerns() == ()
    assert can_provision()
    [told] = health.hosts
    assert [(disk.name, disk.free_bytes) for disk in told.disks] == [("data", 50 * GB)]
    assert told.last_sweep_age_s is not None
    assert told.last_sweep_age_s < 60


def test_an_installation_without_a_host_can_not_provision(db: None) -> None:
    assert not can_provision()
    assert codes()[0] == "no_docker_host"


def test_a_lost_host_is_named_with_the_time_since(well: DockerHost) -> None:
    heard_of(42)
    assert not can_provision()
    [concern] = concerns()
    assert concern.broken
    assert str(concern).startswith("The Docker host local does not answer. It was last heard of 4")
    assert concern.hint


def test_a_host_that_was_never_heard_of_is_lost(well: DockerHost) -> None:
    DockerHost.objects.update(heartbeat_at=None)
    assert codes() == ["docker_host_lost"]


def test_one_lost_host_of_two_is_a_warning(well: DockerHost) -> None:
    DockerHost.objects.create(name="other", heartbeat_at=timezone.now() - timedelta(hours=1))
    assert can_provision()
    [concern] = concerns()
    assert (concern.broken, concern.about) == (False, "host other")


def test_a_scheduler_that_stopped_is_told(well: DockerHost) -> None:
    SchedulerState.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=16))
    assert can_provision()
    [concern] = concerns()
    assert (concern.code, concern.broken) == ("scheduler_lost", True)


def test_the_queue_is_counted_and_a_long_wait_told(
    well: DockerHost, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew)
    make_job(cast.strange_crew)
    ProvisionJob.objects.filter(crew=cast.crew).update(
        created_at=timezone.now() - timedelta(minutes=11)
    )
    health = installation_health()
    assert (health.queue.pending, health.queue.running) == (2, 0)
    assert health.queue.oldest_wait_s is not None
    assert 660 <= health.queue.oldest_wait_s < 700
    assert codes() == ["long_queue"]


@pytest.mark.parametrize(
    ("free", "total", "told"),
    [(11, 1000, []), (9, 1000, [False]), (1, 1000, [True]), (1.5, 2, []), (0.05, 2, [True])],
)
def test_a_disk_is_full_by_bytes_or_on_a_small_one_by_share(
    well: DockerHost, free: float, total: float, told: list[bool]
) -> None:
    note_disks(well.pk, None, DiskSpace("/var/lib/docker", int(total * GB), int(free * GB)))
    assert [concern.broken for concern in concerns()] == told


def test_an_old_catalog_is_a_warning(well: DockerHost) -> None:
    CatalogState.objects.filter(kind=CatalogKind.FEATURE).update(
        fetched_at=timezone.now() - timedelta(days=2), error="https://user:secret@internal failed"
    )
    [concern] = concerns()
    assert (concern.code, concern.broken) == ("catalog_old", False)
    assert "secret" not in str(concern)


def test_a_host_without_workers_can_not_provision(well: DockerHost) -> None:
    end("worker-1")
    assert not can_provision()
    [concern] = concerns()
    assert (concern.code, concern.broken) == ("no_workers", True)


def test_workers_of_another_host_do_not_count(well: DockerHost) -> None:
    end("worker-1")
    beat("worker-2", "other")
    assert codes() == ["no_workers"]


def test_what_upkeep_could_not_do_is_a_warning_without_names(well: DockerHost) -> None:
    def refuses() -> None:
        raise EngineError("No.")

    attempt(Kind.CONTAINER, "job_secret", refuses, well)
    [concern] = concerns()
    assert (concern.code, concern.broken) == ("upkeep_failing", False)
    assert "job_secret" not in str(concern)
