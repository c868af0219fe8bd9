"""What agents of different crews can't see, reach or learn of each other and of the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.agents.conftest import AgentOf, built_crew, inspect, make_agent
from tests.stack.images import run_by_docker
from tests.stack.server import Api, Stack, wait_until

pytestmark = pytest.mark.agents

CANARY = "canary-7b1f-$HOME-'quote'"
LISTEN = (
    "perl -MIO::Socket::INET -e "
    "'$s = IO::Socket::INET->new(LocalPort => 7777, Listen => 50) or die;"
    " print qq(up\\n); $| = 1; sleep 999'"
)
CONFIG = {"image": "debian:bookworm-slim", "mounts": ["source=data,target=/data"]}


@pytest.fixture(scope="module")
def twins(stack: Stack) -> tuple[AgentOf, AgentOf]:
    """Agents of one name, of crews with one slug and one config, in two workspaces."""
    made = []
    for workspace in ("twin-one", "twin-two"):
        api = stack.bootstrap(workspace, f"{workspace}@example.com")
        crew = built_crew(api, "same", CONFIG)
        agent = make_agent(api, crew, "same", LISTEN).start()
        agent.wait_for_log("up")
        made.append(agent)
    return made[0], made[1]


def address(agent: AgentOf) -> tuple[str, str]:
    """Its own address and its gateway's."""
    networks = inspect(agent.container)["NetworkSettings"]["Networks"]
    (network,) = networks.values()
    return network["IPAddress"], network["Gateway"]


def can_connect(agent: AgentOf, host: str, port: int) -> bool:
    script = f"timeout 3 bash -c '</dev/tcp/{host}/{port}' 2>/dev/null && echo yes || echo no"
    return agent.run(script).strip() == "yes"


def test_an_agent_reaches_itself_by_address_and_name(twins: tuple[AgentOf, AgentOf]):
    one, _ = twins
    assert can_connect(one, address(one)[0], 7777)
    assert can_connect(one, "same", 7777)


def test_agents_of_different_crews_do_not_reach_each_other(twins: tuple[AgentOf, AgentOf]):
    one, two = twins
    assert not can_connect(one, address(two)[0], 7777)
    assert not can_connect(two, address(one)[0], 7777)


def test_twins_share_no_file(twins: tuple[AgentOf, AgentOf]):
    one, two = twins
    for place in ("/workspace", "/home/agent", "/data"):
        one.run(f"echo mine > {place}/mark")
        assert two.run(f"ls {place}/mark 2>&1 || true").endswith("No such file or directory\n")


def test_the_host_is_not_reached_where_it_listens_on_loopback_only(
    twins: tuple[AgentOf, AgentOf], stack: Stack
):
    """The web process's port is bound to loopback, and so is a server of the test's own."""
    one, _ = twins
    _, gateway = address(one)
    for host in (gateway, "172.17.0.1", "127.0.0.1"):
        assert not can_connect(one, host, stack.port)


def test_neither_the_engine_nor_redis_is_there(twins: tuple[AgentOf, AgentOf], stack: Stack):
    one, _ = twins
    _, gateway = address(one)
    assert one.run("find / -xdev -type s 2>/dev/null || true") == ""
    assert not any(can_connect(one, gateway, port) for port in (2375, 2376, 6379))


def test_a_secret_is_in_no_inspect_and_no_history(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    crew = built_crew(api, slug, config())
    command = 'test "$TOKEN" = "$(cat /workspace/expected)" && echo same; sleep 99'
    agent = make_agent(api, crew, "secret", "sleep 99").start()
    agent.run(f"printf %s {_quoted(CANARY)} > /workspace/expected")
    agent.change(env={"TOKEN": {"secret": CANARY}}, command=command)
    agent.act("stop")
    agent.wait("stopped")
    agent.start()
    agent.wait_for_log("same")
    said = run_by_docker("inspect", agent.container)
    tag = api.status(crew)["cached_image"]
    said += run_by_docker("inspect", tag) + run_by_docker("history", "--no-trunc", tag)
    said += run_by_docker("logs", agent.container)
    said += agent.log() + str(agent.row())
    assert "canary-7b1f" not in said


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def test_a_deleted_crew_leaves_no_container_and_no_network(
    api: Api, config: Callable[..., dict[str, Any]], slug: str, stack: Stack
):
    crew = built_crew(api, slug, config())
    agent = make_agent(api, crew, "goes", "sleep 99").start()
    assert api.http.delete(f"/crews/{crew}?volumes=delete").status_code == 204
    assert not run_by_docker("ps", "-aq", "--filter", f"name={crew}")
    wait_until(lambda: not _left(crew, "network"), 10, "no network is left")
    wait_until(lambda: not _left(crew, "volume"), 10, "no volume is left")
    assert not stack.rows("SELECT 1 FROM provisioning_agentcontainer WHERE crew_id = ?", agent.crew)


def _left(crew: str, kind: str) -> str:
    return run_by_docker(kind, "ls", "-q", "--filter", f"name={crew}")
