"""A refreshed image: built first, agents moved second; what fails leaves all as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.agents.conftest import AgentOf, built_crew, inspect, make_agent
from tests.stack.server import Api, wait_until

pytestmark = pytest.mark.agents

Config = Callable[..., dict[str, Any]]


def live_image(agent: AgentOf) -> str:
    return str(inspect(agent.container)["Image"])


def test_agents_move_to_the_new_image_when_it_is_there(api: Api, config: Config, slug: str):
    crew = built_crew(api, slug, config(onCreateCommand="date +%N > /tmp/made"))
    agent = make_agent(api, crew, "mover", "sleep 99").start()
    off = make_agent(api, crew, "off", "sleep 99")
    before = live_image(agent)
    api.build(crew, "refresh-image")
    wait_until(lambda: live_image(agent) != before, 30, "the agent on the new image", 0.2)
    row = agent.wait("running")
    assert (row["stale"], row["image"]) == (False, api.status(crew)["cached_image"])
    assert api.status(crew)["agents_pending_restart"] == 0
    assert off.row()["status"] == "stopped"


def test_one_that_is_cancelled_leaves_image_and_agents_as_they_are(
    api: Api, config: Config, slug: str
):
    crew = built_crew(api, slug, config(onCreateCommand="sleep 2"))
    agent = make_agent(api, crew, "stayer", "sleep 99").start()
    before, tag = inspect(agent.container)["Id"], api.status(crew)["cached_image"]
    api.provision(crew, "refresh-image")
    wait_until(lambda: api.status(crew)["status"] == "running", 30, "the build", 0.05)
    assert api.http.post(f"/crews/{crew}/provision/cancel").json()["cancelled"]
    assert api.status(crew)["cached_image"] == tag
    row = agent.row()
    assert (row["status"], row["stale"], row["restarts"]) == ("running", False, 0)
    assert inspect(agent.container)["Id"] == before
