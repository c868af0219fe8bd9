"""A misspelt field of a request changes nothing; the answer says so."""

from __future__ import annotations

import pytest

from crewship.api.ignored import MAX_TOLD
from tests.cast import Cast
from tests.conftest import Api

NEW_CREW = {"name": "New", "slug": "new"}
NEW_AGENT = {"name": "writer", "command": "true"}


def ignored(name: str) -> dict[str, str]:
    message = "There is no such field; it was ignored."
    return {"path": name, "code": "field_ignored", "message": message}


@pytest.fixture
def agents(cast: Cast) -> str:
    return f"/crews/{cast.crew.pk}/agents"


def test_a_new_crew_warns_of_a_misspelt_field(api: Api):
    answer = api.mona.post("/crews", {**NEW_CREW, "devcontainer_confg": "{}"})
    assert answer.status_code == 201
    assert answer.json()["warnings"] == [ignored("devcontainer_confg")]
    assert answer.json()["devcontainer_config"] is None


def test_a_changed_crew_warns_too_after_its_texts_warnings(api: Api, cast: Cast):
    text = '{"image": "debian:sid", "forwardPorts": [1]}'
    body = {"nmae": "Other", "devcontainer_config": text}
    *of_text, last = api.mona.patch(f"/crews/{cast.crew.pk}", body).json()["warnings"]
    assert last == ignored("nmae")
    assert [warning["path"] for warning in of_text] == ["forwardPorts"]


def test_a_crew_that_is_sent_back_as_it_was_read_warns_of_nothing(api: Api):
    made = api.mona.post("/crews", NEW_CREW).json()
    assert api.mona.patch(f"/crews/{made['id']}", made).json()["warnings"] == []


def test_a_new_agent_warns_of_a_misspelt_field(api: Api, agents: str):
    answer = api.mona.post(agents, {**NEW_AGENT, "enviroment": {}})
    assert answer.status_code == 201
    assert answer.json()["warnings"] == [ignored("enviroment")]


def test_a_changed_agent_warns_too(api: Api, agents: str):
    made = api.mona.post(agents, NEW_AGENT).json()
    answer = api.mona.patch(f"{agents}/{made['id']}", {"comand": "false"})
    assert answer.json()["warnings"] == [ignored("comand")]


def test_an_agent_that_is_sent_back_as_it_was_read_has_no_warnings(api: Api, agents: str):
    made = api.mona.post(agents, NEW_AGENT).json()
    assert "warnings" not in made
    assert "warnings" not in api.mona.patch(f"{agents}/{made['id']}", made).json()


def test_of_very_many_only_the_first_are_told(api: Api):
    body = {**NEW_CREW, **{f"x{n}": 1 for n in range(1000)}, "y" * 10_000: 1}
    warnings = api.mona.post("/crews", body).json()["warnings"]
    assert warnings == [ignored(f"x{n}") for n in range(MAX_TOLD)]
