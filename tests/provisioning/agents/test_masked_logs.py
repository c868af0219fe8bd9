"""What an agent prints of its own secrets is not kept."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from crewship.crews.models import Agent, AgentLogChunk
from crewship.crews.secrets import seal
from crewship.engine.fake import FakeEngine
from provisioning.agents.agent_logs import AgentLogs
from tests.cast import Cast

CANARY = "canary-7d1f0c"


@pytest.fixture
def agent(cast: Cast) -> Agent:
    agent = Agent(crew=cast.crew, name="writer", command="env")
    agent.sealed_env = seal(agent.pk, {"TOKEN": CANARY, "KEY": "-----BEGIN\nabcdef\n-----END"})
    agent.save()
    return agent


def written(agent: Agent, *lines: str) -> list[str]:
    AgentLogs(FakeEngine()).write({agent.pk: list(lines)}, timezone.now())
    kept: list[str] = AgentLogChunk.objects.get().lines
    return kept


def test_a_secret_is_masked_wherever_it_stands(agent: Agent):
    assert written(agent, f"TOKEN={CANARY}", f"{CANARY}{CANARY} twice", "nothing") == [
        "TOKEN=***", "****** twice", "nothing",
    ]  # fmt: skip


def test_the_lines_of_a_longer_secret_are_masked_each(agent: Agent):
    assert written(agent, "KEY=-----BEGIN", "abcdef", "-----END") == ["KEY=***", "***", "***"]


def test_another_agents_lines_are_not_looked_at(agent: Agent, cast: Cast):
    other = Agent.objects.create(crew=cast.crew, name="other", command="env")
    assert written(other, f"a word: {CANARY}") == [f"a word: {CANARY}"]


def test_a_lost_key_does_not_stop_the_log(agent: Agent, settings: Any):
    settings.SECRET_KEY = "another" + "y" * 50
    assert written(agent, "still going") == ["still going"]
