"""What config, features and crew say of the running container."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.agents.conftest import AgentOf, built_crew, make_agent
from tests.stack.features import ref
from tests.stack.server import Api

pytestmark = pytest.mark.agents


def test_two_crews_with_one_image_run_their_own_post_start(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    same = config()
    agents = []
    for word in ("one", "two"):
        text = {**same, "postStartCommand": f"echo started {word}"}
        crew = built_crew(api, f"{slug}-{word}", text)
        agents.append(make_agent(api, crew, "agent", "sleep 99").start())
    assert agents[0].row()["image"] == agents[1].row()["image"]
    assert "started one" in agents[0].wait_for_log("started")
    assert "started two" in agents[1].wait_for_log("started")


def test_entrypoints_come_first_then_post_start_then_the_command(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    crew = built_crew(
        api,
        slug,
        config(
            features={ref("runtime"): {}},
            remoteEnv={"REMOTE": "remote and ${containerEnv:NONCE}"},
            postStartCommand={"one": "echo hook $REMOTE", "two": ["sh", "-c", "exit 5"]},
        ),
    )
    agent = make_agent(api, crew, "ordered", "echo command; sleep 99").start()
    agent.wait_for_log("command")
    nonce = agent.run("printenv NONCE").strip()
    assert agent.log().splitlines() == [
        "entrypoint as 1001",
        "crewship: running postStartCommand of the image",
        "feature's hook",
        "crewship: running postStartCommand",
        f"hook remote and {nonce}",
        "crewship: warning: postStartCommand (two) ended with exit code 5",
        "command",
    ]


def test_volumes_are_the_agents_to_write_and_survive_a_restart(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    mounts = ["source=own-${devcontainerId},target=/home/agent/.cache/deep", "source=d,target=/d"]
    crew = built_crew(api, slug, config(features={ref("runtime"): {}}, mounts=mounts))
    first = make_agent(api, crew, "first", "sleep 99").start()
    second = make_agent(api, crew, "second", "sleep 99").start()
    places = ("/workspace", "/home/agent", "/home/agent/.cache", "/home/agent/.cache/deep",
              "/d", "/var/lib/runtime")  # fmt: skip
    for place in places:
        first.run(f"touch {place}/mark")
    assert first.run("cat /var/lib/runtime/seed") == "from the image\n"
    first.run("touch /tmp/mark")
    assert _has(second, "/workspace/mark"), "the crew shares it"
    assert _has(second, "/d/mark"), "the crew shares it"
    assert not _has(second, "/home/agent/mark"), "each agent has its own"
    assert api.http.post(f"/crews/{crew}/restart-agents").json()["restarted"] == 2
    assert [place for place in places if not _has(first, f"{place}/mark")] == []
    assert not _has(first, "/tmp/mark")


def _has(agent: AgentOf, path: str) -> bool:
    return agent.run(f"test -e {path} && echo yes || echo no") == "yes\n"


def test_limits_of_the_crew_are_the_cgroups(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    limits = {"agent_memory_mb": 64, "agent_cpus": 0.5, "agent_pids": 40}
    crew = built_crew(api, slug, config(), **limits)
    agent = make_agent(api, crew, "limited", "sleep 99").start()
    seen = agent.run(
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max"
        " 2>/dev/null || cat memory.max cpu.max pids.max"
    )
    assert seen.split()[:3:2] == [str(64 * 1024 * 1024), "40"]
    assert "50000" in seen
    forks = "for i in $(seq 60); do sleep 9 & done 2>&1"
    assert "fork" in agent.run(f"({forks}) || true").lower()


def test_a_flood_of_output_keeps_its_first_and_last_lines(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    crew = built_crew(api, slug, config())
    command = "seq 1 300000; printf '\\033]0;title\\007red \\033[31mred\\033[0m\\n'; sleep 99"
    agent = make_agent(api, crew, "floods", command).start()
    lines = agent.wait_for_log("red red", 60).splitlines()
    assert lines[-1] == "red red"
    assert lines[-2] == "300000"
    assert any("lines were dropped here" in line for line in lines)
    assert len(lines) < 8000
