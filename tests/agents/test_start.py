"""Starting an agent: where it runs, as whom, with which environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.agents.conftest import built_crew, inspect, make_agent
from tests.stack.features import ref
from tests.stack.server import Api

pytestmark = pytest.mark.agents

SHOW = """
echo "uid $(id -u)"
crew-tool
node -p "6 * 7"
echo "$FROM_CREW/$OWN"
pwd
echo "home $HOME"
sleep 99
"""


def test_it_runs_node_and_a_features_tool_as_uid_1001_with_the_crews_and_its_own_env(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    features = {ref("tool"): {"word": "ahoy"}}
    text = config(
        features=features,
        containerEnv={"FROM_CREW": "crew's $HOME"},
        mise={"tools": {"node": "22"}},
    )
    crew = built_crew(api, slug, text)
    agent = make_agent(api, crew, "shower", SHOW, env={"OWN": "it's $(own) 🚢"}).start()
    log = agent.wait_for_log("home ")
    assert log.splitlines() == [
        "uid 1001",
        "ahoy",
        "42",
        "crew's $HOME/it's $(own) 🚢",
        "/workspace",
        "home /home/agent",
    ]


def test_a_crew_without_an_image_is_provisioned_first(
    api: Api, config: Callable[..., dict[str, Any]], slug: str
):
    crew = api.crew(slug, config())
    agent = make_agent(api, crew, "first", "sleep 99").start()
    row = agent.row()
    assert (row["image"], row["stale"]) == (api.status(crew)["cached_image"], False)


def test_its_container_is_confined(api: Api, config: Callable[..., dict[str, Any]], slug: str):
    crew = built_crew(api, slug, config(capAdd=["NET_BIND_SERVICE"]))
    agent = make_agent(api, crew, "confined", "sleep 99").start()
    found = inspect(agent.container)
    host = found["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], ["NET_BIND_SERVICE"])
    assert (host["SecurityOpt"], host["Privileged"]) == (["no-new-privileges"], False)
    assert {mount["Type"] for mount in found["Mounts"]} == {"volume"}
    assert found["Config"]["User"] == "1001"
    assert "NoNewPrivs:\t1" in agent.run("cat /proc/self/status")
