from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from cache.hosts import (
    DockerHostLost,
    HostNameTaken,
    NoDockerHost,
    beat,
    healthy_host,
    host_of_engine,
    is_taken,
    register_host,
)
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
    assert beat(host.pk, "")
    assert healthy_host() == host


def test_a_healthy_host_is_taken_before_a_lost_one() -> None:
    DockerHost.objects.create(name="older")
    alive = register_host("newer", FakeEngine().info())
    assert healthy_host() == alive


OTHER = replace(FakeEngine().info(), engine_id="another")


def test_a_name_whose_engine_beats_is_refused_to_another() -> None:
    register_host("local", FakeEngine().info())
    before = DockerHost.objects.values().get()
    with pytest.raises(HostNameTaken, match="local") as caught:
        register_host("local", OTHER)
    assert caught.value.error_code == "host_name_taken"
    assert "CREWSHIP_HOST" in caught.value.error_hint
    assert DockerHost.objects.values().get() == before
    assert is_taken("local", OTHER)
    assert not is_taken("local", FakeEngine().info())


@pytest.mark.parametrize("silent_s", [None, 6])
def test_a_name_whose_engine_is_silent_may_be_taken_over(silent_s: float | None) -> None:
    first = register_host("local", FakeEngine().info())
    at = None if silent_s is None else timezone.now() - timedelta(seconds=silent_s)
    DockerHost.objects.update(heartbeat_at=at)
    assert not is_taken("local", OTHER)
    assert register_host("local", OTHER).pk == first.pk
    assert not beat(first.pk, "fake-engine")
    assert beat(first.pk, "another")
    assert healthy_host().engine_id == "another"


def test_another_name_is_another_host() -> None:
    register_host("local", FakeEngine().info())
    assert register_host("second", OTHER).name == "second"


def test_a_command_by_hand_is_no_heartbeat_and_takes_no_name_over() -> None:
    host = host_of_engine("local", FakeEngine().info())
    assert host.heartbeat_at is None
    assert host_of_engine("local", FakeEngine().info()) == host
    with pytest.raises(HostNameTaken):
        host_of_engine("local", OTHER)
