"""Restarting a crew's agents: all at once, exact about what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.agents.conftest import GRACE_S, AgentOf, built_crew, make_agent
from tests.stack.server import Api, Stack

pytestmark = pytest.mark.agents

WELL_BEHAVED = 'trap "exit 0" TERM; echo up; while :; do sleep 60 & wait; done'
STUBBORN = "trap '' TERM; echo up; while :; do sleep 60; done"


@pytest.mark.parametrize(
    ("count", "stubborn"), [(12, 3), pytest.param(50, 10, marks=pytest.mark.long)]
)
def test_many_agents_restart_side_by_side(
    api: Api,
    stack: Stack,
    config: Callable[..., dict[str, Any]],
    slug: str,
    count: int,
    stubborn: int,
):
    crew = built_crew(api, slug, config())
    agents = [
        make_agent(api, crew, f"agent-{n}", STUBBORN if n < stubborn else WELL_BEHAVED)
        for n in range(count)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(AgentOf.start, agents))
    for agent in agents:
        agent.wait_for_log("up")
    single = make_agent(api, api.crew(f"{slug}-one", config()), "one", WELL_BEHAVED).start()
    one_restart = _timed(lambda: _restart(api, single.crew))
    api.build(crew, "rebuild")
    assert api.status(crew)["agents_pending_restart"] == count
    took = _timed(lambda: _restart(api, crew, expected=count))
    print(f"{count} agents in {took:.1f} s; one in {one_restart:.1f} s; grace {GRACE_S} s")
    assert api.status(crew)["agents_pending_restart"] == 0
    images = stack.rows("SELECT DISTINCT live_image_id FROM crews_agent WHERE crew_id = ?", crew)
    current = stack.rows(
        "SELECT image_id FROM cache_cachedimage WHERE tag = ?", api.status(crew)["cached_image"]
    )
    assert images == current
    assert took <= GRACE_S + 12 * one_restart


def _restart(api: Api, crew: str, expected: int = 1) -> None:
    answer = api.http.post(f"/crews/{crew}/restart-agents", timeout=180)
    assert answer.status_code == 200, answer.text
    assert answer.json()["restarted"] == expected, answer.text


def _timed(work: Callable[[], None]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def test_an_env_change_is_seen_after_a_restart_and_not_before(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    crew = built_crew(api, slug, config())
    command = 'echo "value $VALUE"; while :; do sleep 60 & wait; done'
    agent = make_agent(api, crew, "env", command, env={"VALUE": "old"}).start()
    agent.wait_for_log("value old")
    agent.change(env={"VALUE": "new"})
    # What ends by itself starts again as it was.
    agent.run("kill -9 $(cat /proc/1/task/1/children)")
    agent.wait_for_log("started again")
    agent.wait("running")
    assert "value new" not in agent.log()
    _restart(api, crew)
    assert agent.wait_for_log("value new").splitlines()[-1] == "value new"


def test_agents_that_are_not_meant_to_run_stay_stopped(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    crew = built_crew(api, slug, config())
    stopped = make_agent(api, crew, "stopped", "sleep 99").start()
    stopped.act("stop")
    stopped.wait("stopped")
    make_agent(api, crew, "never", "sleep 99")
    _restart(api, crew, expected=0)
    assert stopped.row()["status"] == "stopped"


def test_one_that_fails_is_named_and_the_others_run(
    api: Api, config: Callable[..., dict[str, Any]], slug: str, stack: Stack
):
    crew = built_crew(api, slug, config(containerEnv={"A": "x" * 31_000, "B": "x" * 32_000}))
    good = make_agent(api, crew, "good", "sleep 99").start()
    bad = make_agent(api, crew, "bad", "sleep 99").start()
    # Together with what is in the image no process could be given this.
    bad.change(env={f"BIG_{n}": "x" * 30_000 for n in range(2)})
    answer = api.http.post(f"/crews/{crew}/restart-agents", timeout=60).json()
    assert answer["restarted"] == 1
    assert [failed["id"] for failed in answer["failed"]] == [bad.id]
    assert (good.row()["status"], bad.row()["status"]) == ("running", "failed")
    assert bad.row()["error"]
