"""A secret reaches the agent's process and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.agents.conftest import built_crew, inspect, make_agent
from tests.stack.server import Api, Stack

pytestmark = pytest.mark.agents

CANARY = "canary-91b2d7"
SHOW = 'echo "length ${#TOKEN}"; echo "it is $TOKEN"; sleep 99'


def test_it_is_in_the_process_and_neither_in_log_nor_inspect_nor_database(
    api: Api, stack: Stack, config: Callable[..., dict[str, Any]], slug: str
):
    crew = built_crew(api, slug, config())
    agent = make_agent(api, crew, "keeper-of-it", SHOW, env={"TOKEN": {"secret": CANARY}}).start()
    assert agent.wait_for_log("it is ").splitlines() == [f"length {len(CANARY)}", "it is ***"]
    assert CANARY not in json.dumps(inspect(agent.container))
    assert agent.row()["env"] == {"TOKEN": {"secret": True}}
    for table in ("crews_agent", "crews_agentlogchunk"):
        assert CANARY not in repr(stack.rows(f"select * from {table}"))  # noqa: S608  # constants
    logs = "".join(path.read_text() for path in (stack.data_dir / "logs").rglob("*.log"))
    assert CANARY not in logs
