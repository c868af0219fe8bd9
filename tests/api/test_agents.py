"""Agents' routes: what is saved, what is refused, what is shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cache.models import CachedImage
from crewship.crews.agents import MAX_AGENTS
from crewship.crews.models import Agent, AgentStatus
from provisioning.models import AgentContainer
from tests.cast import Cast
from tests.conftest import Api, image_id_of
from tests.problem import problem

FIELDS = {
    "id", "name", "command", "env", "status", "error", "exit_code", "restarts", "image", "stale",
    "started_at", "created_at",
}  # fmt: skip


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/crews/{cast.crew.pk}/agents"


@pytest.fixture
def agent(cast: Cast) -> Agent:
    return Agent.objects.create(crew=cast.crew, name="writer", command="sleep 9")


def codes(answer: Any) -> set[tuple[str, str]]:
    return {(e["path"], e["code"]) for e in problem(answer, 400)["errors"]}


def test_a_new_agent_is_stopped_and_has_no_image(api: Api, path: str):
    body = {"name": "writer", "command": "while :; do date; done", "env": {"A": "b"}}
    made = api.mona.post(path, body).json()
    assert set(made) == FIELDS
    assert made["id"].startswith("agt_")
    assert {name: made[name] for name in body} == body
    assert (made["status"], made["image"], made["stale"]) == ("stopped", None, False)
    assert api.vera.get(f"{path}/{made['id']}").json() == made


def test_the_list_is_a_page_newest_first(api: Api, path: str, cast: Cast):
    for name in ("one", "two"):
        api.mona.post(path, {"name": name, "command": "true"})
    Agent.objects.create(crew=cast.strange_crew, name="strange")
    page = api.vera.get(path).json()
    assert [row["name"] for row in page["results"]] == ["two", "one"]
    assert (page["next"], page["previous"]) == (None, None)


def test_a_crew_without_agents_has_an_empty_list(api: Api, path: str):
    assert api.vera.get(path).json()["results"] == []


def test_a_list_asks_as_often_for_many_as_for_one(
    api: Api, path: str, cast: Cast, cached: CachedImage
):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            api.vera.get(path)
        return len(caught)

    Agent.objects.create(crew=cast.crew, name="first", live_image_id=cached.image_id)
    api.vera.get(path)
    one = queries()
    for number in range(20):
        Agent.objects.create(crew=cast.crew, name=f"a{number}", live_image_id=f"sha256:{number}")
    assert queries() == one


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "Writer!"}, {("name", "invalid")}),
        ({"name": "w"}, {("name", "invalid")}),
        ({"name": "writer\n"}, {("name", "invalid")}),
        ({"command": " \n"}, {("command", "required")}),
        ({"command": "x" * 4097}, {("command", "command_too_long")}),
        ({"env": ["A"]}, {("env", "wrong_type")}),
        ({"env": {"1A": "x"}}, {("env.1A", "env_name_invalid")}),
        ({"env": {"A B": "x"}}, {("env.A B", "env_name_invalid")}),
        ({"env": {"É": "x"}}, {("env.É", "env_name_invalid")}),
        ({"env": {"PATH": "x"}}, {("env.PATH", "env_protected")}),
        ({"env": {"LD_PRELOAD": "x"}}, {("env.LD_PRELOAD", "env_protected")}),
        ({"env": {"BASH_ENV": {"secret": "x"}}}, {("env.BASH_ENV", "env_protected")}),
        ({"env": {"A": 1}}, {("env.A", "wrong_type")}),
        ({"env": {"A": None}}, {("env.A", "wrong_type")}),
        ({"env": {"A": {"secret": False}}}, {("env.A", "wrong_type")}),
        ({"env": {"A": {"secret": "x", "b": 1}}}, {("env.A", "wrong_type")}),
        ({"env": {"A": {"secret": True}}}, {("env.A", "secret_unknown")}),
        ({"env": {"A": "a\0b"}}, {("env.A", "env_value_invalid")}),
        ({"env": {"A": "é" * 16385}}, {("env.A", "env_value_too_large")}),
        ({"env": {f"A{n}": "x" * 30_000 for n in range(5)}}, {("env", "env_too_large")}),
        ({"env": {f"A{n}": "" for n in range(65)}}, {("env", "env_too_many")}),
        ({"env": {"A" * 257: "x"}}, {("env." + "A" * 257, "env_name_too_long")}),
        (
            {"env": {f"{'A' * 254}{n:02}": "x" * 800 for n in range(63)}},
            {("env", "env_too_large")},
        ),
        (
            {"name": "!", "command": "", "env": {"": "", "IFS": {"secret": "\0"}}},
            {
                ("name", "invalid"), ("command", "required"), ("env.", "env_name_invalid"),
                ("env.IFS", "env_protected"), ("env.IFS", "env_value_invalid"),
            },
        ),
    ],
)  # fmt: skip
def test_every_problem_is_answered_at_once_and_nothing_is_stored(
    body: dict[str, Any], expected: set[tuple[str, str]], api: Api, path: str
):
    answer = api.alice.post(path, {"name": "writer", "command": "true", **body})
    assert codes(answer) == expected
    assert not Agent.objects.exists()


def test_the_limits_themselves_are_fine(api: Api, path: str):
    env = {f"{'A' * 254}{n:02}": "" for n in range(63)} | {"B": "x" * 32768}
    body = {"name": "w" * 50, "command": "x" * 4096, "env": env}
    assert api.alice.post(path, body).status_code == 201


def test_a_name_is_there_once_in_a_crew(api: Api, path: str, cast: Cast, agent: Agent):
    assert codes(api.mona.post(path, {"name": "writer", "command": "true"})) == {
        ("name", "name_taken")
    }
    other = f"/crews/{cast.strange_crew.pk}/agents"
    assert api.mallory.post(other, {"name": "writer", "command": "true"}).status_code == 201


def test_a_crew_has_a_hundred_agents_at_most(api: Api, path: str, cast: Cast):
    Agent.objects.bulk_create(
        Agent(crew=cast.crew, name=f"a{n}", command="true") for n in range(MAX_AGENTS)
    )
    problem(api.mona.post(path, {"name": "writer", "command": "true"}), 409, "too_many_agents")


def test_a_change_leaves_what_the_watcher_writes(api: Api, path: str, agent: Agent):
    Agent.objects.update(status=AgentStatus.RUNNING, live_image_id="sha256:1", asked=3, done=2)
    changed = api.mona.patch(f"{path}/{agent.pk}", {"command": "date"}).json()
    assert (changed["command"], changed["name"], changed["status"]) == ("date", "writer", "running")
    agent.refresh_from_db()
    assert (agent.live_image_id, agent.asked, agent.done) == ("sha256:1", 3, 2)


def test_an_env_is_replaced_as_a_whole(api: Api, path: str, agent: Agent):
    one = f"{path}/{agent.pk}"
    api.mona.patch(one, {"env": {"A": "1", "B": "2"}})
    assert api.mona.patch(one, {"env": {"C": "3"}}).json()["env"] == {"C": "3"}
    assert api.mona.patch(one, {"name": "other"}).json()["env"] == {"C": "3"}
    assert api.mona.patch(one, {"env": None}).json()["env"] == {}


def test_the_image_is_named_by_its_tag(api: Api, path: str, agent: Agent, cached: CachedImage):
    Agent.objects.update(live_image_id=cached.image_id)
    shown = api.vera.get(f"{path}/{agent.pk}").json()
    assert (shown["image"], shown["stale"]) == (cached.tag, False)


def test_an_image_without_a_tag_is_named_by_its_id_and_is_stale(
    api: Api, path: str, agent: Agent, cached: CachedImage
):
    Agent.objects.update(live_image_id=image_id_of("old"))
    shown = api.vera.get(f"{path}/{agent.pk}").json()
    assert (shown["image"], shown["stale"]) == (image_id_of("old"), True)


@pytest.mark.parametrize("verb", ["get", "patch", "delete"])
def test_an_agent_of_another_crew_is_404(verb: str, api: Api, path: str, cast: Cast):
    other = Agent.objects.create(crew=cast.strange_crew, name="strange", command="true")
    problem(getattr(api.alice, verb)(f"{path}/{other.pk}"), 404, "agent_not_found")
    problem(getattr(api.alice, verb)(f"/crews/{cast.strange_crew.pk}/agents/{other.pk}"), 404)
    assert Agent.objects.filter(pk=other.pk).exists()


@pytest.mark.parametrize("agent_id", ["agt_", "crw_abc", "agt_a%00", "agt_" + "a" * 65])
def test_what_can_be_no_agents_id_is_400(agent_id: str, api: Api, path: str):
    problem(api.alice.get(f"{path}/{agent_id}"), 400, "invalid_id")


def test_a_deleted_agents_container_is_waited_for(
    api: Api, path: str, agent: Agent, host: Any, monkeypatch: pytest.MonkeyPatch
):
    def keeper(_seconds: float) -> None:
        assert not Agent.objects.filter(pk=agent.pk).exists()
        AgentContainer.objects.filter(agent_id=agent.pk).delete()

    AgentContainer.objects.create(
        host_name=host.name, name="c", agent_id=agent.pk, crew_id=agent.crew_id
    )
    monkeypatch.setattr("provisioning.agents.removals.time.sleep", keeper)
    assert api.adam.delete(f"{path}/{agent.pk}").status_code == 204
    assert not AgentContainer.objects.exists()


def test_a_container_on_a_lost_host_stays_written_down(api: Api, path: str, agent: Agent):
    AgentContainer.objects.create(
        host_name="local", name="c", agent_id=agent.pk, crew_id=agent.crew_id
    )
    assert api.adam.delete(f"{path}/{agent.pk}").status_code == 204
    assert AgentContainer.objects.get().agent_id == agent.pk


def test_a_bad_name_is_called_a_name(api: Api, path: str):
    body = problem(api.alice.post(path, {"name": "A B", "command": "true"}), 400)
    assert body["detail"].startswith("name: A name is 2 to 50 of")
