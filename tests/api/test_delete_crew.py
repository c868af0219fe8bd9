"""Deleting a crew whose agents ran: containers go, volumes only when that is said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cache.models import DockerHost
from crewship.crews.models import Agent, Crew
from provisioning.deletion import VolumesExist, delete_workspace
from provisioning.models import AgentContainer, AgentVolume
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem
from tests.rows import all_rows

SLEEP = "provisioning.agents.removals.time.sleep"


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/crews/{cast.crew.pk}"


@pytest.fixture
def agent(cast: Cast, host: DockerHost) -> Agent:
    """One that runs, in a container that our records name."""
    agent = Agent.objects.create(crew=cast.crew, name="writer", command="true", wants_running=True)
    AgentContainer.objects.create(
        host_name=host.name, name="c", agent_id=agent.pk, crew_id=cast.crew.pk
    )
    return agent


@pytest.fixture
def volume(cast: Cast, host: DockerHost) -> AgentVolume:
    return AgentVolume.objects.create(
        host_name=host.name, name="data", crew_id=cast.crew.pk, target="/data"
    )


def keeper(_seconds: float) -> None:
    """The host's watcher: one removal at each look."""
    gone = AgentContainer.objects.exclude(agent_id__in=Agent.objects.values("pk")).first()
    if gone is not None:
        gone.delete()
        return
    marked = AgentVolume.objects.exclude(delete_at=None).first()
    assert marked is not None, "the request waits for nothing"
    marked.delete()


def test_a_crew_that_ran_no_agent_goes_at_once(api: Api, path: str):
    assert api.adam.delete(path).status_code == 204
    assert not Crew.objects.filter(pk=path.rpartition("/")[2]).exists()


def test_its_containers_are_gone_when_it_is_answered(
    api: Api, path: str, agent: Agent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(SLEEP, keeper)
    assert api.adam.delete(path).status_code == 204
    assert not AgentContainer.objects.exists()
    assert not Agent.objects.exists()


def test_while_there_are_volumes_it_has_to_be_said(
    api: Api, path: str, agent: Agent, volume: AgentVolume
):
    before = all_rows()
    body = problem(api.adam.delete(path), 409, "volumes_exist")
    assert body["volumes"] == ["data"]
    assert "?volumes=keep or ?volumes=delete" in body["hint"]
    assert all_rows() == before


def test_kept_volumes_stay_in_the_records(
    api: Api, path: str, agent: Agent, volume: AgentVolume, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(SLEEP, keeper)
    assert api.adam.delete(f"{path}?volumes=keep").status_code == 204
    assert AgentVolume.objects.get().delete_at is None


def test_deleted_volumes_are_gone_when_it_is_answered(
    api: Api, path: str, agent: Agent, volume: AgentVolume, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(SLEEP, keeper)
    assert api.adam.delete(f"{path}?volumes=delete").status_code == 204
    assert not AgentVolume.objects.exists()


def test_another_crews_volumes_are_not_touched(
    api: Api, path: str, cast: Cast, volume: AgentVolume
):
    AgentVolume.objects.update(crew_id=cast.strange_crew.pk)
    assert api.adam.delete(f"{path}?volumes=delete").status_code == 204
    assert AgentVolume.objects.get().delete_at is None


def test_another_answer_is_400(api: Api, path: str, volume: AgentVolume):
    problem(api.adam.delete(f"{path}?volumes=perhaps"), 400, "invalid")
    assert AgentVolume.objects.get().delete_at is None


def test_on_a_lost_host_it_is_done_later(api: Api, path: str, agent: Agent, volume: AgentVolume):
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))
    assert api.adam.delete(f"{path}?volumes=delete").status_code == 204
    assert AgentContainer.objects.count() == 1
    assert AgentVolume.objects.get().delete_at is not None


def test_a_host_that_does_not_get_on_is_not_waited_for_for_ever(
    api: Api, path: str, agent: Agent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("provisioning.agents.removals.SLACK_S", -1000.0)
    assert api.adam.delete(path).status_code == 204
    assert AgentContainer.objects.count() == 1


def test_a_workspace_with_volumes_is_not_deleted(cast: Cast, volume: AgentVolume):
    before = all_rows()
    with pytest.raises(VolumesExist, match="data"):
        delete_workspace(cast.workspace)
    assert all_rows() == before
