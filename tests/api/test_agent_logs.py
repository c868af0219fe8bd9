"""What an agent printed: the lines that are kept."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from crewship.crews.models import Agent, AgentLogChunk
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem


@pytest.fixture
def agent(cast: Cast) -> Agent:
    agent = Agent.objects.create(crew=cast.crew, name="writer", command="date")
    for seq in range(1, 4):
        say(agent, seq, f"{seq}a", f"{seq}b")
    return agent


@pytest.fixture
def path(agent: Agent) -> str:
    return f"/crews/{agent.crew_id}/agents/{agent.pk}/logs"


def say(agent: Agent, seq: int, *lines: str) -> None:
    AgentLogChunk.objects.create(agent=agent, seq=seq, lines=list(lines), at=timezone.now())


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content).decode()


def test_all_that_is_kept_oldest_first(api: Api, path: str):
    answer = api.bob.get(path)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert text(answer) == "1a\n1b\n2a\n2b\n3a\n3b\n"


@pytest.mark.parametrize(
    ("tail", "expected"),
    [(0, ""), (1, "3b\n"), (2, "3a\n3b\n"), (3, "2b\n3a\n3b\n"), (100, "1a\n1b\n2a\n2b\n3a\n3b\n")],
)
def test_the_last_lines(tail: int, expected: str, api: Api, path: str):
    assert text(api.bob.get(f"{path}?tail={tail}")) == expected


@pytest.mark.parametrize("query", ["tail=-1", "tail=10001", "tail=many", "follow=perhaps"])
def test_what_cannot_be_asked_is_400(query: str, api: Api, path: str):
    problem(api.bob.get(f"{path}?{query}"), 400, "invalid")


def test_colours_are_taken_out(api: Api, path: str, agent: Agent):
    say(agent, 4, "\x1b[31mred\x1b[0m")
    assert text(api.bob.get(f"{path}?tail=1")) == "red\n"


def test_an_agent_that_printed_nothing_has_an_empty_log(api: Api, cast: Cast):
    agent = Agent.objects.create(crew=cast.crew, name="silent", command="true")
    assert text(api.bob.get(f"/crews/{cast.crew.pk}/agents/{agent.pk}/logs")) == ""


def test_logs_are_not_for_viewers(api: Api, path: str):
    problem(api.vera.get(path), 403, "forbidden")
    problem(api.vera.get(f"{path}?follow=1"), 403, "forbidden")
