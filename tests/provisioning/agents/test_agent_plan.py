"""What an agent's container will be: from crew, agent, image and settings, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from crewship.crews.models import Agent, Crew
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import (
    FeatureRequirements,
    Hook,
    HookCommand,
    HookName,
    RuntimeSettings,
)
from crewship.domain.errors import EnvTooLarge
from crewship.engine.running import SharedVolume
from crewship.settings.options import AgentOptions
from provisioning.agents.agent_plan import (
    AgentEnvInvalid,
    AgentPlan,
    ImageFacts,
    devcontainer_id,
    plan_agent,
    read_requirements,
)

PATH = "/opt/tool:/usr/bin:/bin"
HOOK = Hook(HookName.POST_START, (HookCommand("a", "echo a"), HookCommand("b", argv=("echo", "b"))))


def mount(source: str, target: str) -> Mapping[str, str]:
    return {"source": source, "target": target, "type": "volume"}


def planned(
    runtime: RuntimeSettings | None = None,
    requirements: FeatureRequirements | None = None,
    env: dict[str, str] | None = None,
    secrets: dict[str, str] | None = None,
    **crew_fields: Any,
) -> AgentPlan:
    agent = Agent(
        id="agt_1",
        name="worker",
        command="run it",
        env=env or {},
        crew=Crew(id="crw_1", **crew_fields),
    )
    image = ImageFacts(
        image_id="sha256:1",
        env=(("PATH", PATH), ("OF_IMAGE", "$yes")),
        requirements=requirements or FeatureRequirements(),
        home="/home/agent",
    )
    options = AgentOptions(memory_mb=1000, cpus=2.0, pids=100)
    return plan_agent(agent, runtime or RuntimeSettings(), image, secrets or {}, options)


def test_names_carry_the_crews_id() -> None:
    spec = planned().spec
    assert (spec.name, spec.network, spec.alias) == (
        "crewship-crw_1-worker",
        "crewship-crw_1",
        "worker",
    )


def test_the_spec_holds_nothing_of_env_and_command() -> None:
    plan = planned(env={"OWN": "plain-value"}, secrets={"TOKEN": "secret-value"})
    assert "secret-value" not in repr(plan)
    assert "plain-value" not in repr(plan)
    assert "run it" not in repr(plan)


def test_later_env_wins_and_the_path_is_never_lost() -> None:
    plan = planned(
        RuntimeSettings(remote_env=(("BOTH", "config"), ("X", "of ${containerEnv:OF_IMAGE}"))),
        FeatureRequirements(remote_env=(("BOTH", "base"), ("BASE", "1"))),
        env={"PATH": "/mine", "OWN": "${containerEnv:OF_IMAGE}"},
        secrets={"OWN_SECRET": "s"},
    )
    exports = [line for line in plan.script.splitlines() if "export" in line]
    assert exports == [
        f"command export PATH='/mine:{PATH}'",
        "command export BOTH='config'",
        "command export BASE='1'",
        "command export X='of $yes'",
        "command export OWN='${containerEnv:OF_IMAGE}'",
        "command export OWN_SECRET='s'",
    ]


@pytest.mark.parametrize("env", [{"A;id": "1"}, {"A": "nul\0"}, {"": "1"}])
def test_a_variable_that_can_not_be_is_refused(env: dict[str, str]) -> None:
    with pytest.raises(AgentEnvInvalid):
        planned(env=env)


def test_more_than_a_process_takes_is_refused() -> None:
    with pytest.raises(EnvTooLarge, match="the agent's environment") as caught:
        planned(env={f"V{n}": "x" * 30_000 for n in range(5)})
    assert "of the agent's env," in caught.value.error_hint
    assert "containerEnv" not in caught.value.error_hint


def test_the_limits_are_the_crews_and_at_most_the_installations() -> None:
    few = planned(agent_memory_mb=64, agent_cpus=0.5, agent_pids=20).spec
    many = planned(agent_memory_mb=9999, agent_cpus=64, agent_pids=9999).spec
    assert (few.memory_bytes, few.nano_cpus, few.pids_limit) == (64 * 2**20, 500_000_000, 20)
    assert (many.memory_bytes, many.nano_cpus, many.pids_limit) == (
        1000 * 2**20,
        2_000_000_000,
        100,
    )


def test_volumes_are_the_crews_and_the_last_of_a_target_counts() -> None:
    plan = planned(
        RuntimeSettings(
            mounts=(mount("own-${devcontainerId}", "/data"), mount("w", "/workspace/"))
        ),
        FeatureRequirements(mounts=(mount("feature", "/data"), mount("f2", "/var/f"))),
    )
    assert plan.spec.volumes == (
        SharedVolume(f"crewship-crw_1-own-{devcontainer_id('crw_1')}", "/data"),
        SharedVolume("crewship-agt_1-home", "/home/agent"),
        SharedVolume("crewship-crw_1-f2", "/var/f"),
        SharedVolume("crewship-crw_1-w", "/workspace"),
    )


def test_a_long_name_of_a_volume_becomes_a_short_one() -> None:
    volumes = planned(RuntimeSettings(mounts=(mount("v" * 5000, "/data"),))).spec.volumes
    assert len(volumes[0].volume) < 100


def test_the_way_to_a_volume_within_another_is_handed_over() -> None:
    plan = planned(RuntimeSettings(mounts=(mount("c", "/home/agent/.cache/deep/x"),)))
    assert plan.handed_over == (
        "/home/agent/.cache",
        "/home/agent/.cache/deep",
        "/home/agent/.cache/deep/x",
        "/workspace",
    )


def test_requirements_are_read_as_they_were_stored() -> None:
    stored = FeatureRequirements(
        mounts=(mount("a", "/a"),),
        init=True,
        cap_add=("NET_BIND_SERVICE",),
        entrypoints=("/entry.sh",),
        post_start=(HOOK,),
        remote_env=(("A", "1"),),
    )
    assert read_requirements(asdict(stored), Policy()) == stored
    assert read_requirements({}, Policy()) == FeatureRequirements()


def test_a_capability_that_is_not_allowed_any_more_is_left_out() -> None:
    assert read_requirements({"cap_add": ["SYS_ADMIN"]}, Policy()).cap_add == ()


def test_hooks_of_the_image_come_before_the_crews_own() -> None:
    own = Hook(HookName.POST_START, (HookCommand("", "echo own"),))
    script = planned(
        RuntimeSettings(post_start=own),
        FeatureRequirements(post_start=(HOOK,), entrypoints=("/entry.sh",)),
    ).script
    places = [script.index(word) for word in ("/entry.sh", "echo a", "echo own", "run it")]
    assert places == sorted(places)
