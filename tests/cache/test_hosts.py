from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cache.hosts import DockerHostLost, NoDockerHost, beat, healthy_host, register_host
from cache.models import DockerHost
from crewship.engine.fake import FakeEngine

pytestmark = pytest.mark.django_db


def test_without_a_host_there_is_none() -> None:
    with pytest.raises(NoDockerHost):
        healthy_host()


def test_a_registered_host_is_healthy() -> None:
    host = register_host("local", FakeEngine().info())
    assert healthy_host() == host
    assert (host.engine_id, host.platform) == ("fake-engine", "linux/amd64")


def test_registering_again_keeps_its_id() -> None:
    first = register_host("local", FakeEngine().info())
    assert register_host("local", FakeEngine().info()).pk == first.pk


@pytest.mark.parametrize("heartbeat", [None, 5.5, 3600])
def test_a_host_without_heartbeat_for_5_s_is_lost(heartbeat: float | None) -> None:
    at = None if heartbeat is None else timezone.now() - timedelta(seconds=heartbeat)
    DockerHost.objects.create(name="local", heartbeat_at=at)
    with pytest.raises(DockerHostLost, match="local"):
        healthy_host()


def test_a_beat_brings_it_back() -> None:
    host = DockerHost.objects.create(name="local")
    beat(host.pk)
    assert healthy_host() == host


def test_a_healthy_host_is_taken_before_a_lost_one() -> None:
    DockerHost.objects.create(name="older")
    alive = register_host("newer", FakeEngine().info())
    assert healthy_host() == alive
