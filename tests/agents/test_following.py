"""Reading an agent's log while it is written, from the real web process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.agents.conftest import built_crew, make_agent
from tests.stack.server import Api

pytestmark = pytest.mark.agents

COUNT = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.3; done"


def test_lines_arrive_as_they_are_printed_and_leaving_is_fine(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    crew = built_crew(api, slug, config())
    agent = make_agent(api, crew, "counter", COUNT).start()
    with api.http.stream("GET", f"{agent.path}/logs?follow=1", timeout=20) as answer:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        lines = answer.iter_lines()
        first = [next(lines) for _ in range(8)]
    assert first == [f"line {n}" for n in range(1, 9)]
    assert agent.row()["status"] == "running"


def test_it_ends_when_the_agent_is_deleted(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    crew = built_crew(api, slug, config())
    agent = make_agent(api, crew, "short-lived", "echo hello; sleep 99").start()
    with api.http.stream("GET", f"{agent.path}/logs?follow=1", timeout=20) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "hello"
        assert api.http.delete(agent.path, timeout=60).status_code == 204
        assert list(lines) == []
