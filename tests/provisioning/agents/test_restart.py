"""POST /crews/{id}/restart-agents: who is restarted, who is not, and what is told of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cache.models import CachedImage, DockerHost
from crewship.crews.models import Agent, AgentStatus
from provisioning.agents import services
from provisioning.models import ProvisionJob
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem
from tests.provisioning.agents.keeper import keeper

SLEEP = "provisioning.agents.services.time.sleep"


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/crews/{cast.crew.pk}/restart-agents"


@pytest.fixture
def agents(cast: Cast, cached: CachedImage) -> list[Agent]:
    """Three that are meant to run, the second of which is down now."""
    states = [AgentStatus.RUNNING, AgentStatus.EXITED, AgentStatus.RUNNING]
    return [
        Agent.objects.create(
            crew=cast.crew, name=f"a{n}", wants_running=True, asked=1, done=1, status=status
        )
        for n, status in enumerate(states)
    ]


def test_every_agent_that_is_meant_to_run_is(
    api: Api, path: str, agents: list[Agent], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(SLEEP, keeper())
    answer = api.mona.post(path)
    assert (answer.status_code, answer.json()) == (200, {"restarted": 3})
    assert list(Agent.objects.values_list("asked", "done")) == [(2, 2)] * 3
    assert not ProvisionJob.objects.exists()


def test_all_are_asked_for_before_the_first_is_waited_for(
    api: Api, path: str, agents: list[Agent], monkeypatch: pytest.MonkeyPatch
):
    seen: list[list[int]] = []

    def look(seconds: float) -> None:
        seen.append(list(Agent.objects.values_list("asked", flat=True)))
        keeper()(seconds)

    monkeypatch.setattr(SLEEP, look)
    api.mona.post(path)
    assert seen[0] == [2, 2, 2]


def test_one_that_was_stopped_on_purpose_stays_stopped(
    api: Api, path: str, cast: Cast, agents: list[Agent], monkeypatch: pytest.MonkeyPatch
):
    stopped = Agent.objects.create(crew=cast.crew, name="off")
    foreign = Agent.objects.create(crew=cast.strange_crew, name="strange", wants_running=True)
    monkeypatch.setattr(SLEEP, keeper())
    assert api.mona.post(path).json() == {"restarted": 3}
    for agent in (stopped, foreign):
        agent.refresh_from_db()
        assert (agent.asked, agent.status) == (0, "stopped")


def test_one_that_fails_is_told_beside_the_others(
    api: Api, path: str, agents: list[Agent], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(SLEEP, keeper(fails={"a1": "no space left"}))
    assert api.mona.post(path).json() == {
        "restarted": 2,
        "failed": [{"id": agents[1].pk, "name": "a1", "error": "no space left"}],
    }


def test_one_that_does_not_start_in_time_is_told(
    api: Api, path: str, agents: list[Agent], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(services, "SLACK_S", -1000.0)
    body = api.mona.post(path).json()
    assert body["restarted"] == 0
    assert {failed["error"] for failed in body["failed"]} == {services.NOT_IN_TIME}


def test_a_host_that_goes_away_meanwhile_is_not_waited_for(
    api: Api, path: str, agents: list[Agent], monkeypatch: pytest.MonkeyPatch
):
    def lose(_seconds: float) -> None:
        DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))

    monkeypatch.setattr(SLEEP, lose)
    body = api.mona.post(path).json()
    assert "has not been heard of" in body["failed"][0]["error"]


def test_one_that_is_stopped_or_deleted_meanwhile_is_neither(
    api: Api, path: str, agents: list[Agent], monkeypatch: pytest.MonkeyPatch
):
    def change(seconds: float) -> None:
        agents[0].delete()
        Agent.objects.filter(pk=agents[1].pk).update(wants_running=False, done=2)
        keeper()(seconds)

    monkeypatch.setattr(SLEEP, change)
    assert api.mona.post(path).json() == {"restarted": 1}


def test_without_an_image_nothing_is_stopped_and_each_is_told(
    api: Api, path: str, agents: list[Agent], cached: CachedImage
):
    cached.delete()
    body = api.mona.post(path).json()
    assert body["restarted"] == 0
    assert [failed["name"] for failed in body["failed"]] == ["a0", "a1", "a2"]
    assert set(Agent.objects.values_list("asked", flat=True)) == {1}


def test_with_nothing_to_restart_it_is_none(api: Api, path: str, host: DockerHost):
    assert api.mona.post(path).json() == {"restarted": 0}


def test_on_a_lost_host_nothing_is_wished(api: Api, path: str, agents: list[Agent]):
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))
    problem(api.mona.post(path), 503, "docker_host_lost")
    assert set(Agent.objects.values_list("asked", flat=True)) == {1}
