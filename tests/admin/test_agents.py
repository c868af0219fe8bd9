"""Agents and volumes in the admin: the services' work, and no secret anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from cache.models import CachedImage, DockerHost
from crewship.crews.agents import update_agent
from crewship.crews.models import Agent, AgentStatus, Crew
from crewship.crews.secrets import unseal
from crewship.domain.roles import Role
from provisioning.models import AgentContainer, AgentVolume
from tests.admin.pages import Pages, form_of, messages_of, text_of
from tests.cast import Cast
from tests.provisioning.agents.keeper import keeper

CANARY = "canary-7d1f0c"


@pytest.fixture
def agent(cast: Cast) -> Agent:
    agent = Agent.objects.create(crew=cast.crew, name="writer", command="true")
    env = {"PLAIN": "shown", "TOKEN": {"secret": CANARY}}
    return update_agent(agent, {"env": env}, actor_role=Role.OWNER)


def test_a_page_shows_the_environment_without_secret_values(admin: Pages, agent: Agent):
    page = text_of(admin.page(agent))
    assert '"PLAIN": "shown"' in page
    assert '"secret": true' in page
    assert CANARY not in page
    assert agent.sealed_env not in page


def test_saving_changes_what_was_typed_alone(admin: Pages, agent: Agent, cast: Cast):
    Agent.objects.update(status=AgentStatus.RUNNING, asked=1, live_image_id="sha256:1")
    sent = {"crew": cast.strange_crew.pk, "live_image_id": "sha256:0", "env": "{}", "asked": "9"}
    admin.post(agent, name="writer", command="false", **sent)
    agent.refresh_from_db()
    assert (agent.crew, agent.command, agent.status) == (cast.crew, "false", "running")
    assert (agent.live_image_id, agent.asked) == ("sha256:1", 1)
    assert (agent.env, unseal(agent)) == ({"PLAIN": "shown"}, {"TOKEN": CANARY})


def test_an_agent_is_made_here(admin: Pages, cast: Cast):
    admin.post(Agent, "add", crew=cast.crew.pk, name="writer", command="date")
    made = Agent.objects.get()
    assert (made.crew, made.command, made.status) == (cast.crew, "date", "stopped")


@pytest.mark.parametrize(
    ("field", "value"), [("name", "Not A Slug"), ("name", "writer"), ("command", "x" * 4097)]
)
def test_a_problem_stands_at_its_field(
    field: str, value: str, admin: Pages, agent: Agent, cast: Cast
):
    sent = {"crew": cast.crew.pk, "name": "other", "command": "date", field: value}
    answer: Any = admin.post(Agent, "add", **sent)
    assert set(answer.context["adminform"].form.errors) == {field}
    assert Agent.objects.count() == 1


def test_start_and_stop_are_verbs(admin: Pages, agent: Agent, cached: CachedImage):
    assert messages_of(admin.act("start", agent)) == ["success: “writer”: starting."]
    assert messages_of(admin.act("stop", agent))[-1] == "success: “writer”: stopping."
    agent.refresh_from_db()
    assert (agent.wants_running, agent.asked) == (False, 2)


def test_a_start_that_is_refused_is_a_message(admin: Pages, agent: Agent):
    (said,) = messages_of(admin.act("start", agent))
    assert said.startswith("error: “writer”: No Docker host is registered. [no_docker_host]")


def test_all_of_a_crew_are_restarted(
    admin: Pages, agent: Agent, cast: Cast, cached: CachedImage, monkeypatch: pytest.MonkeyPatch
):
    Agent.objects.update(wants_running=True)
    monkeypatch.setattr("provisioning.agents.services.time.sleep", keeper({"writer": "no luck"}))
    said = messages_of(admin.act("restart", cast.crew))
    assert said == ["success: “backend”: agents restarted: 0; writer was not: no luck."]


def test_an_image_is_refreshed(admin: Pages, cast: Cast, cached: CachedImage):
    (said,) = messages_of(admin.act("refresh", cast.crew))
    assert "refresh started as job_" in said
    assert Crew.objects.get(pk=cast.crew.pk).cached_image == cached.tag


@pytest.mark.parametrize("way", ["page", "list"])
def test_deleting_leaves_the_container_to_its_host(admin: Pages, agent: Agent, way: str):
    AgentContainer.objects.create(
        host_name="local", name="c", agent_id=agent.pk, crew_id=agent.crew_id
    )
    if way == "page":
        admin.post(agent, "delete", post="yes")
    else:
        admin.act("delete_selected", agent, post="yes")
    assert not Agent.objects.exists()
    assert AgentContainer.objects.count() == 1


@pytest.fixture
def volume(cast: Cast, host: DockerHost) -> AgentVolume:
    return AgentVolume.objects.create(
        host_name=host.name, name="data-of-backend", crew_id=cast.crew.pk, target="/data"
    )


def test_deleting_a_crew_tells_which_volumes_stay(admin: Pages, cast: Cast, volume: AgentVolume):
    assert "Not deleted: the volume data-of-backend" in text_of(admin.page(cast.crew, "delete"))
    admin.post(cast.crew, "delete", post="yes")
    assert not Crew.objects.filter(pk=cast.crew.pk).exists()
    assert AgentVolume.objects.get().delete_at is None


def test_a_volume_is_removed_once_its_crew_is_gone(admin: Pages, cast: Cast, volume: AgentVolume):
    (refused,) = messages_of(admin.act("remove", volume))
    assert "[volume_in_use]" in refused
    assert AgentVolume.objects.get().delete_at is None
    cast.crew.delete()
    said = messages_of(admin.act("remove", volume))[-1]
    assert said == "success: “data-of-backend”: to be removed by its host."
    assert AgentVolume.objects.get().delete_at is not None


def test_a_workspace_with_volumes_stays(admin: Pages, cast: Cast, volume: AgentVolume):
    (said,) = messages_of(admin.post(cast.workspace, "delete", post="yes"))
    assert "[volumes_exist] Delete its crews first" in said


def test_the_form_sends_back_what_it_shows(admin: Pages, agent: Agent):
    assert form_of(admin.page(agent)) == {"name": "writer", "command": "true"}
