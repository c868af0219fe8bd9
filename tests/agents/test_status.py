"""The status of agents is the engine's truth, at most 2 s old."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.agents.conftest import AgentOf, built_crew, make_agent
from tests.stack.images import run_by_docker
from tests.stack.server import Api, Stack, wait_until

pytestmark = pytest.mark.agents


@pytest.fixture(scope="module")
def crew(api: Api) -> str:
    return built_crew(api, "states", {"image": "debian:bookworm-slim", "containerEnv": {"S": "1"}})


def test_one_killed_by_hand_is_seen_within_2_s_and_started_again(stack: Stack, api: Api, crew: str):
    agent = make_agent(api, crew, "killed", "sleep 99").start()
    run_by_docker("kill", agent.container)
    killed = time.monotonic()
    columns = "status, exit_code, live_image_id, restarts"
    # From the database: it says so for a second only, and a loaded machine answers slowly.
    seen = wait_until(
        lambda: next(
            (row for row in stack.rows(f"SELECT {columns} FROM crews_agent WHERE id = ?", agent.id)  # noqa: S608
             if row[0] != "running"), None),
        5, "its end", 0.02,
    )  # fmt: skip
    assert time.monotonic() - killed < 2
    assert seen == ("exited", 137, "", 0)
    assert agent.wait("running", 10)["restarts"] == 1


def test_one_removed_by_hand_is_started_again(api: Api, crew: str):
    agent = make_agent(api, crew, "removed", "sleep 99").start()
    run_by_docker("rm", "-f", agent.container)
    wait_until(lambda: agent.row()["restarts"] == 1, 10, "a restart")
    agent.wait("running", 10)


def test_a_command_that_ends_well_is_started_again_later_and_later(api: Api, crew: str):
    agent = make_agent(api, crew, "ends", "echo once; exit 0")
    agent.act("start")
    wait_until(lambda: agent.row()["restarts"] == 2, 20, "two restarts")
    log = agent.wait_for_log("started again in 4 s").splitlines()
    assert [line for line in log if line.startswith("crewship:")] == [
        f"crewship: the agent ended with exit code 0; it is started again in {s} s"
        for s in (1, 2, 4)
    ]
    agent.act("stop")
    assert agent.wait("stopped")["exit_code"] == 0


def test_stopping_removes_the_container(api: Api, crew: str):
    agent = make_agent(api, crew, "stops", "sleep 99").start()
    agent.act("stop")
    agent.wait("stopped", 10)
    assert not run_by_docker("ps", "-aq", "--filter", f"name=^{agent.container}$")


def test_deleting_a_running_agent_removes_its_container(api: Api, crew: str):
    agent = make_agent(api, crew, "deleted", "sleep 99").start()
    assert api.http.delete(agent.path).status_code == 204
    assert not run_by_docker("ps", "-aq", "--filter", f"name=^{agent.container}$")


def test_a_crew_whose_build_fails_has_a_failed_agent_that_says_so(api: Api, slug: str):
    config = {"image": "debian:bookworm-slim", "postCreateCommand": "echo the reason; exit 3"}
    agent = make_agent(api, api.crew(slug, config), "never", "sleep 99")
    agent.act("start")
    assert "the reason" in agent.wait("failed")["error"]


def test_a_watcher_that_was_killed_adopts_what_runs(stack: Stack, api: Api, crew: str):
    command = 'i=0; while :; do i=$((i + 1)); echo "tick $i"; sleep 0.5; done'
    agent = make_agent(api, crew, "adopted", command).start()
    agent.wait_for_log("tick 2\n")
    started_at = _started_at(agent)
    for pid in stack.pids("crewship_watcher"):
        os.kill(pid, signal.SIGKILL)
    last = agent.log().splitlines()[-1]
    count = int(last.removeprefix("tick "))
    log = agent.wait_for_log(f"tick {count + 8}\n", 30)
    ticks = [line for line in log.splitlines() if line.startswith("tick")]
    assert ticks[:count] == [f"tick {n}" for n in range(1, count + 1)]
    assert len(ticks) == len(set(ticks)), "no line twice"
    assert _started_at(agent) == started_at
    assert agent.row()["status"] == "running"


def _started_at(agent: AgentOf) -> str:
    return run_by_docker("inspect", "-f", "{{.State.StartedAt}}", agent.container)
