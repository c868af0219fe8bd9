"""Secret values go in and never come out, whoever asks and wherever they look."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from crewship.crews.models import Agent
from crewship.crews.secrets import mask, unseal
from crewship.workspaces.models import User
from provisioning.models import JobEvent
from tests.cast import PEOPLE, Cast
from tests.conftest import Api
from tests.problem import problem
from tests.rows import all_rows

CANARY = "canary-7d1f0c"
ENV = {"PLAIN": "shown", "TOKEN": {"secret": CANARY}}


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/crews/{cast.crew.pk}/agents"


@pytest.fixture
def agent(api: Api, path: str) -> Agent:
    answer = api.adam.post(path, {"name": "writer", "command": "true", "env": ENV})
    assert answer.status_code == 201, answer.content
    assert answer.json()["env"] == {"PLAIN": "shown", "TOKEN": {"secret": True}}
    return Agent.objects.get()


@pytest.fixture
def one(path: str, agent: Agent) -> str:
    return f"{path}/{agent.pk}"


def test_what_was_set_is_there_for_the_container(agent: Agent):
    assert unseal(agent) == {"TOKEN": CANARY}


@pytest.mark.parametrize("person", [name for name in PEOPLE if name != "mallory"])
def test_nobody_reads_it_back(person: str, api: Api, path: str, one: str):
    client = getattr(api, person)
    for answer in (client.get(one), client.get(path), client.get(path.rpartition("/")[0])):
        assert answer.status_code == 200
        assert CANARY not in answer.content.decode()


def test_a_viewer_is_not_told_of_it(api: Api, one: str):
    assert api.vera.get(one).json()["env"] == {"PLAIN": "shown"}
    assert api.bob.get(one).json()["env"] == {"PLAIN": "shown", "TOKEN": {"secret": True}}


def test_sent_back_as_it_was_read_it_stays(api: Api, one: str, agent: Agent):
    env = api.mona.get(one).json()["env"] | {"PLAIN": "changed"}
    assert api.mona.patch(one, {"env": env}).json()["env"] == env
    agent.refresh_from_db()
    assert unseal(agent) == {"TOKEN": CANARY}


def test_what_is_not_sent_is_gone(api: Api, one: str, agent: Agent):
    assert api.adam.patch(one, {"env": {"A": "b"}}).json()["env"] == {"A": "b"}
    agent.refresh_from_db()
    assert (unseal(agent), agent.sealed_env, agent.secret_names) == ({}, "", [])


def test_a_secret_can_become_plain_and_a_plain_one_secret(api: Api, one: str, agent: Agent):
    api.adam.patch(one, {"env": {"PLAIN": {"secret": "now hidden"}, "TOKEN": "now shown"}})
    agent.refresh_from_db()
    assert (agent.env, unseal(agent)) == ({"TOKEN": "now shown"}, {"PLAIN": "now hidden"})


@pytest.mark.parametrize(
    "env", [{}, {"TOKEN": "x"}, {"TOKEN": {"secret": "x"}}, {"NEW": {"secret": "x"}}]
)
def test_who_may_not_manage_neither_sets_nor_drops_one(
    env: dict[str, Any], api: Api, one: str, agent: Agent
):
    body = problem(api.mona.patch(one, {"env": env}), 403, "forbidden")
    assert "secret" in body["hint"]
    agent.refresh_from_db()
    assert unseal(agent) == {"TOKEN": CANARY}


def test_a_manager_makes_no_agent_with_one(api: Api, path: str):
    body = {"name": "writer", "command": "true", "env": ENV}
    problem(api.mona.post(path, body), 403, "forbidden")
    assert not Agent.objects.exists()


def test_a_lost_key_is_a_503_that_tells_what_to_do(api: Api, one: str, agent: Agent, settings: Any):
    settings.SECRET_KEY = "another" + "y" * 50
    assert api.adam.get(one).json()["env"]["TOKEN"] == {"secret": True}
    kept = api.adam.patch(one, {"env": {"TOKEN": {"secret": True}}})
    assert "FALLBACKS" in problem(kept, 503, "secrets_unreadable")["hint"]
    assert api.adam.patch(one, {"env": {"TOKEN": {"secret": "new"}}}).status_code == 200
    agent.refresh_from_db()
    assert unseal(agent) == {"TOKEN": "new"}


@pytest.mark.parametrize(
    "env",
    [
        {"TOKEN": {"secret": CANARY + "\0"}},
        {"TOKEN": {"secret": CANARY * 4000}},
        {"TOKEN": {"secret": [CANARY]}},
        {"TOKEN": {"value": CANARY}},
        {"PATH": {"secret": CANARY}},
    ],
)
def test_a_refusal_does_not_quote_it(env: dict[str, Any], api: Api, path: str):
    answer = api.adam.post(path, {"name": "writer", "command": "true", "env": env})
    assert CANARY not in json.dumps(problem(answer, 400))


def test_a_dump_of_the_database_has_it_nowhere(agent: Agent):
    assert CANARY not in repr(all_rows())
    assert CANARY not in repr(list(JobEvent.objects.values()))


def test_a_crash_logs_it_nowhere(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def crash(*args: object, **kwargs: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("crewship.crews.agents.lock_crew", crash)
    with caplog.at_level(logging.DEBUG):
        answer = api.adam.post(path, {"name": "writer", "command": "true", "env": ENV})
    assert CANARY not in json.dumps(problem(answer, 500))
    assert "broken on purpose" in caplog.text
    assert CANARY not in caplog.text


def test_the_admin_shows_it_nowhere(agent: Agent, cast: Cast, client: Browser):
    client.force_login(User.objects.create_superuser("root@example.com", "a-root-password"))
    pages = [
        reverse("admin:crews_agent_change", args=[agent.pk.replace("_", "_5F")]),
        reverse("admin:crews_agent_changelist"),
        reverse("admin:crews_crew_change", args=[cast.crew.pk.replace("_", "_5F")]),
        reverse("admin:crews_agent_history", args=[agent.pk.replace("_", "_5F")]),
    ]
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        text = answer.content.decode()
        assert CANARY not in text
        assert agent.sealed_env not in text


def test_masking_takes_it_out_of_a_text():
    text = f"a {CANARY} b\nline two of it, ab"
    masked = mask(text, [CANARY, f"{CANARY}\nline two", "ab"])
    assert masked == "a *** b\n*** of it, ab"
