"""The main job: a config becomes an image, on a real engine, by a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.stack.features import ref
from tests.stack.images import run_in
from tests.stack.server import Api

pytestmark = pytest.mark.engine
Config = Callable[..., dict[str, Any]]


def test_a_config_becomes_an_image_that_runs_as_the_agent(
    api: Api, config: Config, slug: str
) -> None:
    tag = api.build(api.crew(slug, config()))
    assert run_in(tag, "sh", "-c", "id -u; id -un; echo $HOME") == "1001\nagent\n/home/agent\n"


def test_a_features_tool_works_in_the_image(api: Api, config: Config, slug: str) -> None:
    features = {ref("tool"): {"word": "ahoy"}}
    tag = api.build(api.crew(slug, config(features=features)))
    assert run_in(tag, "crew-tool") == "ahoy\n"


def test_the_crews_environment_is_in_the_image_byte_for_byte(
    api: Api, config: Config, slug: str
) -> None:
    value = "a $(id -u) `id` \"q\" 'p' \\ %s\nline two 🚢"
    tag = api.build(api.crew(slug, config(containerEnv={"HOSTILE": value})))
    assert run_in(tag, "sh", "-c", 'printf %s "$HOSTILE"') == value


def test_an_option_value_reaches_install_sh_byte_for_byte(
    api: Api, config: Config, slug: str
) -> None:
    value = "x $(touch /pwned) `id` \" ' \\ -n 🚢"
    tag = api.build(api.crew(slug, config(features={ref("note"): {"text": value}})))
    assert run_in(tag, "cat", "/usr/local/share/notes/note") == value
    assert run_in(tag, "sh", "-c", "ls /pwned 2>/dev/null || true") == ""


def test_install_sh_sees_the_environment_that_the_spec_names(
    api: Api, config: Config, slug: str
) -> None:
    tag = api.build(api.crew(slug, config(features={ref("note"): {}})))
    seen = run_in(tag, "cat", "/usr/local/share/notes/env").split("\n")
    assert "_REMOTE_USER=agent" in seen
    assert "_REMOTE_USER_HOME=/home/agent" in seen
    assert "_CONTAINER_USER=agent" in seen


def test_the_configs_environment_does_not_act_in_root_steps(
    api: Api, config: Config, slug: str
) -> None:
    env = {"LD_PRELOAD": "/nowhere.so", "http_proxy": "http://127.0.0.1:1"}
    tag = api.build(api.crew(slug, config(features={ref("note"): {}}, containerEnv=env)))
    seen = run_in(tag, "cat", "/usr/local/share/notes/env")
    assert "LD_PRELOAD" not in seen
    assert "http_proxy" not in seen


def test_lifecycle_commands_run_once_in_their_order_as_the_agent(
    api: Api, config: Config, slug: str
) -> None:
    made = config(
        onCreateCommand="echo on-create $(id -un) >> ~/order",
        updateContentCommand=["sh", "-c", "echo update >> ~/order"],
        postCreateCommand={"a": "echo a > ~/a", "b": ["sh", "-c", "echo b > ~/b"]},
    )
    tag = api.build(api.crew(slug, made))
    said = run_in(tag, "sh", "-c", "cat ~/order ~/a ~/b")
    assert said == "on-create agent\nupdate\na\nb\n"


def test_nothing_of_the_builder_is_left_in_the_image(
    api: Api, config: Config, slug: str, docker_client: docker.DockerClient
) -> None:
    tag = api.build(api.crew(slug, config(features={ref("note"): {}})))
    assert run_in(tag, "sh", "-c", "ls -a / | grep -c crewship || true") == "0\n"
    image = docker_client.images.get(tag)
    base = docker_client.images.get("debian:bookworm-slim")
    assert image.attrs["Config"]["Cmd"] == base.attrs["Config"]["Cmd"] or ["/bin/sh"]
    assert not any("APT_CONFIG" in entry for entry in image.attrs["Config"]["Env"])


def test_the_log_tells_our_lines_from_the_scripts_lines(
    api: Api, config: Config, slug: str
) -> None:
    crew = api.crew(slug, config(features={ref("note"): {"text": slug}}))
    api.build(crew)
    lines = api.log(crew).splitlines()
    assert "| noted" in lines
    assert "Feature note installed" in lines


def test_status_has_step_and_log_while_running_and_the_end_after(
    api: Api, config: Config, slug: str
) -> None:
    crew = api.crew(slug, config(features={ref("tool"): {}}))
    api.build(crew)
    status = api.status(crew)
    assert (status["step"], status["total"]) == (6, 6)
    assert status["steps"] == [
        "validate",
        "pull-base",
        "install-features",
        "install-mise",
        "snapshot",
        "tag",
    ]
    assert status["completed_at"].endswith("Z")
    assert "error" not in status
