"""Starting and stopping one agent: what is written down for the host's watcher."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cache.models import CachedImage, DockerHost
from crewship.crews.models import Agent, AgentStatus
from crewship.domain.errors import NotFound
from crewship.settings.options import Options
from provisioning.agents import services
from provisioning.agents.services import start_agent, stop_agent
from provisioning.models import ProvisionJob
from provisioning.services import JobActive
from provisioning.states import JobState
from tests.cast import Cast, make_crew
from tests.conftest import Api, ImageMaker, JobMaker
from tests.problem import problem
from tests.rows import all_rows


@pytest.fixture
def agent(cast: Cast) -> Agent:
    return Agent.objects.create(crew=cast.crew, name="writer", command="true")


def wish(agent: Agent) -> tuple[bool, int, str]:
    agent.refresh_from_db()
    return agent.wants_running, agent.asked, agent.status


def test_a_start_is_a_wish(api: Api, agent: Agent, cached: CachedImage, knocks: list[str]):
    answer = api.mona.post(f"/crews/{agent.crew_id}/agents/{agent.pk}/start")
    assert (answer.status_code, answer.json()["status"]) == (202, "starting")
    assert wish(agent) == (True, 1, "starting")
    assert agent.host_name == "local"
    assert (ProvisionJob.objects.count(), knocks) == (0, [])


@pytest.mark.parametrize("status", [AgentStatus.STARTING, AgentStatus.RUNNING])
def test_an_agent_that_is_under_way_is_left_alone(
    status: AgentStatus, agent: Agent, cast: Cast, cached: CachedImage
):
    Agent.objects.update(wants_running=True, asked=1, status=status)
    start_agent(agent, cast.mona.user)
    assert wish(agent) == (True, 1, status)


@pytest.mark.parametrize("status", [AgentStatus.EXITED, AgentStatus.FAILED, AgentStatus.STOPPING])
def test_an_agent_that_is_down_is_started_again(
    status: AgentStatus, agent: Agent, cast: Cast, cached: CachedImage
):
    Agent.objects.update(wants_running=True, asked=1, done=1, status=status, error="no luck")
    start_agent(agent, cast.mona.user)
    assert wish(agent) == (True, 2, "starting")
    assert agent.error == ""


def test_without_an_image_one_is_asked_for(agent: Agent, cast: Cast, host: DockerHost):
    start_agent(agent, cast.mona.user)
    job = ProvisionJob.objects.get()
    assert (job.crew_id, job.requested_by, job.state) == (
        agent.crew_id,
        cast.mona.user,
        JobState.PENDING,
    )
    assert wish(agent) == (True, 1, "starting")


def test_an_image_that_was_there_is_linked(
    agent: Agent, cast: Cast, host: DockerHost, make_image: ImageMaker
):
    image = make_image(cast.crew.config_hash or "")
    start_agent(agent, cast.mona.user)
    cast.crew.refresh_from_db()
    assert cast.crew.cached_image == image.tag


def test_a_job_that_runs_already_serves(agent: Agent, cast: Cast, make_job: JobMaker):
    job = make_job(cast.crew, JobState.RUNNING)
    start_agent(agent, cast.mona.user)
    assert ProvisionJob.objects.get() == job
    assert wish(agent) == (True, 1, "starting")


def test_a_job_that_began_in_this_moment_serves_too(
    agent: Agent, cast: Cast, host: DockerHost, monkeypatch: pytest.MonkeyPatch
):
    def too_late(**kwargs: Any) -> ProvisionJob:
        raise JobActive("in progress")

    monkeypatch.setattr(services, "request_provision", too_late)
    start_agent(agent, cast.mona.user)
    assert wish(agent) == (True, 1, "starting")


def test_what_is_wrong_with_provisioning_is_answered_and_nothing_is_wished(
    api: Api, cast: Cast, host: DockerHost
):
    crew = make_crew(cast.workspace, "empty", None)
    agent = Agent.objects.create(crew=crew, name="writer", command="true")
    before = all_rows()
    answer = api.mona.post(f"/crews/{crew.pk}/agents/{agent.pk}/start")
    problem(answer, 400, "no_devcontainer_config")
    assert all_rows() == before


def test_on_a_lost_host_nothing_is_started(
    api: Api, agent: Agent, cached: CachedImage, host: DockerHost
):
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))
    before = all_rows()
    answer = api.mona.post(f"/crews/{agent.crew_id}/agents/{agent.pk}/start")
    problem(answer, 503, "docker_host_lost")
    assert all_rows() == before


def test_a_stop_is_a_wish_that_needs_no_host(api: Api, agent: Agent):
    Agent.objects.update(wants_running=True, asked=1, done=1, status=AgentStatus.RUNNING)
    answer = api.mona.post(f"/crews/{agent.crew_id}/agents/{agent.pk}/stop")
    assert (answer.status_code, answer.json()["status"]) == (202, "stopping")
    assert wish(agent) == (False, 2, "stopping")


def test_stopping_twice_is_stopping_once(agent: Agent):
    assert stop_agent(agent).status == "stopped"
    Agent.objects.update(wants_running=True, status=AgentStatus.FAILED)
    stop_agent(agent)
    stop_agent(agent)
    assert wish(agent) == (False, 1, "stopping")


@pytest.mark.parametrize("verb", [stop_agent, lambda agent: start_agent(agent, None)])
def test_an_agent_that_was_deleted_meanwhile_is_not_found(
    verb: Any, agent: Agent, cached: CachedImage
):
    Agent.objects.all().delete()
    with pytest.raises(NotFound):
        verb(agent)


def test_an_agent_beyond_the_limit_is_refused_and_nothing_is_built(
    api: Api, agent: Agent, cast: Cast, host: DockerHost, set_limits: Callable[..., Options]
):
    set_limits(running_agents_per_workspace=1)
    Agent.objects.create(crew=cast.crew, name="reader", command="true", wants_running=True)
    body = problem(
        api.mona.post(f"/crews/{agent.crew_id}/agents/{agent.pk}/start"), 400, "limit_reached"
    )
    assert (body["what"], body["limit"]) == ("running_agents", 1)
    assert wish(agent) == (False, 0, "stopped")
    assert not ProvisionJob.objects.exists()


def test_an_agent_that_is_meant_to_run_is_started_again_at_the_limit(
    agent: Agent, cast: Cast, cached: CachedImage, set_limits: Callable[..., Options]
):
    set_limits(running_agents_per_workspace=1)
    Agent.objects.update(wants_running=True, status=AgentStatus.EXITED)
    agent.refresh_from_db()
    start_agent(agent, cast.mona.user)
    assert wish(agent) == (True, 1, "starting")


def test_a_stopped_agent_makes_room_for_another(
    agent: Agent, cast: Cast, cached: CachedImage, set_limits: Callable[..., Options]
):
    set_limits(running_agents_per_workspace=1)
    other = Agent.objects.create(crew=cast.crew, name="reader", command="true", wants_running=True)
    stop_agent(other)
    start_agent(agent, cast.mona.user)
    assert wish(agent)[0]


def test_agents_of_another_workspace_do_not_count(
    agent: Agent, cast: Cast, cached: CachedImage, set_limits: Callable[..., Options]
):
    set_limits(running_agents_per_workspace=1)
    Agent.objects.create(crew=cast.strange_crew, name="x", command="true", wants_running=True)
    start_agent(agent, cast.mona.user)
    assert wish(agent)[0]
