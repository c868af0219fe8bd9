"""What one agent's container will be: a pure function of crew, agent, image and settings."""

from __future__ import annotations

import base64
import hashlib
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cache.models import CachedImage
from crewship.crews.models import Agent, Crew
from crewship.devcontainer.environment import NAME, apply_env, check_size, expand_env
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import (
    FeatureRequirements,
    Hook,
    HookCommand,
    HookName,
    RuntimeSettings,
)
from crewship.domain.errors import ConfigError
from crewship.engine.running import AgentSpec, SharedVolume
from crewship.settings.options import AgentOptions
from provisioning.agents.agent_script import READ_SCRIPT, agent_script
from provisioning.pipeline.context import AGENT_HOME, AGENT_UID

WORKSPACE: Final = "/workspace"
ENV_HINT: Final = "Shorten values of the agent's env, or those in the crew's remoteEnv."
_LONGEST_SOURCE: Final = 100  # of a volume's name, as the config has it

Env = Iterable[tuple[str, str]]


class AgentEnvInvalid(ConfigError):
    """A variable of an agent's environment has a name or a value that no process can be given."""

    code = "env_name_invalid"
    hint = "Correct the agent's env: a name has ASCII letters, digits and _ only, a value no NUL."


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """``spec`` may be seen by everybody on the host, ``script`` holds the agent's secrets."""

    agent_id: str
    crew_id: str
    spec: AgentSpec
    handed_over: tuple[str, ...]  # directories that become the agent's before it starts
    script: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of the image that the agent will run."""

    image_id: str
    env: tuple[tuple[str, str], ...]
    requirements: FeatureRequirements
    home: str

    @classmethod
    def of(cls, record: CachedImage, env: Env, policy: Policy) -> ImageFacts:
        return cls(
            image_id=record.image_id,
            env=tuple(env),
            requirements=read_requirements(record.requirements, policy),
            home=record.provenance.get("home") or AGENT_HOME,
        )


def container_name(crew_id: str, agent_name: str) -> str:
    return f"crewship-{crew_id}-{agent_name}"


def network_name(crew_id: str) -> str:
    return f"crewship-{crew_id}"


def volume_name(crew_id: str, source: str) -> str:
    """A volume that a config or feature asked for; the crew's own, whatever it is called."""
    filled = source.replace("${devcontainerId}", devcontainer_id(crew_id))
    if len(filled) > _LONGEST_SOURCE:
        filled = hashlib.sha256(filled.encode()).hexdigest()
    return f"crewship-{crew_id}-{filled}"


def devcontainer_id(crew_id: str) -> str:
    """52 characters of 0-9 and a-v, as the spec has them. Of the crew and not of its config: the
    spec wants it stable across rebuilds, and volumes are named by it."""
    digest = hashlib.sha256(crew_id.encode()).digest()
    return base64.b32hexencode(digest).decode().rstrip("=").lower()


def plan_agent(
    agent: Agent,
    runtime: RuntimeSettings,
    image: ImageFacts,
    secrets: Mapping[str, str],
    options: AgentOptions,
) -> AgentPlan:
    """Everything that starting the agent needs to know.

    Runtime settings of base and features are those stored with the image; the crew's own are
    what its config says now. Raises EnvTooLarge, AgentEnvInvalid.
    """
    crew = agent.crew
    asked = image.requirements
    env = agent_env(image, runtime, agent.env, secrets, devcontainer_id(crew.pk))
    hooks = [("postStartCommand of the image", hook) for hook in asked.post_start]
    if runtime.post_start is not None:
        hooks.append(("postStartCommand", runtime.post_start))
    volumes = _volumes(agent, image.home, [*asked.mounts, *runtime.mounts])
    limits = _limits(crew, options)
    spec = AgentSpec(
        name=container_name(crew.pk, agent.name),
        image=image.image_id,
        argv=READ_SCRIPT,
        user=AGENT_UID,
        working_dir=WORKSPACE,
        network=network_name(crew.pk),
        alias=agent.name,
        volumes=volumes,
        cap_add=tuple(dict.fromkeys([*asked.cap_add, *runtime.cap_add])),
        memory_bytes=limits.memory_mb * 1024 * 1024,
        nano_cpus=int(limits.cpus * 1_000_000_000),
        pids_limit=limits.pids,
    )
    return AgentPlan(
        agent_id=agent.pk,
        crew_id=crew.pk,
        spec=spec,
        handed_over=_handed_over([volume.target for volume in volumes], image.home),
        script=agent_script(env, asked.entrypoints, hooks, agent.command),
    )


def agent_env(
    image: ImageFacts,
    runtime: RuntimeSettings,
    own: Mapping[str, str],
    secrets: Mapping[str, str],
    crew_devcontainer_id: str,
) -> dict[str, str]:
    """What is set on top of the image's ENV: remoteEnv of base and config, then the agent's own,
    literally. PATH is extended, never lost."""
    base = dict(image.env)
    env = dict(base)
    for entries in (image.requirements.remote_env, runtime.remote_env):
        apply_env(env, [(k, expand_env(v, base, crew_devcontainer_id)) for k, v in entries])
    apply_env(env, own.items())
    apply_env(env, secrets.items())
    changed = {name: value for name, value in env.items() if base.get(name) != value}
    for name, value in changed.items():
        if not NAME.fullmatch(name) or "\0" in value:
            raise AgentEnvInvalid(f"The variable {name[:100]!r} can't be set.")
    check_size(env, "the agent's environment, with its image's,", hint=ENV_HINT)
    return changed


def read_requirements(stored: Mapping[str, Any], policy: Policy) -> FeatureRequirements:
    """The requirements as ``asdict`` stored them with an image, under the policy of now."""
    caps = [cap for cap in stored.get("cap_add", ()) if cap in policy.cap_add_allowed]
    return FeatureRequirements(
        mounts=tuple(stored.get("mounts", ())),
        init=bool(stored.get("init")),
        cap_add=tuple(caps),
        entrypoints=tuple(stored.get("entrypoints", ())),
        post_start=tuple(map(_hook, stored.get("post_start", ()))),
        remote_env=tuple((name, value) for name, value in stored.get("remote_env", ())),
    )


def _hook(stored: Mapping[str, Any]) -> Hook:
    entries = [
        HookCommand(
            entry["name"],
            shell=entry["shell"],
            argv=None if entry["argv"] is None else tuple(entry["argv"]),
        )
        for entry in stored["entries"]
    ]
    return Hook(HookName(stored["name"]), tuple(entries))


def _volumes(
    agent: Agent, home: str, mounts: Sequence[Mapping[str, str]]
) -> tuple[SharedVolume, ...]:
    """The crew's workspace, the agent's home, and what was asked for; the last of a target."""
    crew_id = agent.crew_id
    by_target = {
        WORKSPACE: f"crewship-{crew_id}-workspace",
        posixpath.normpath(home): f"crewship-{agent.pk}-home",
    }
    for mount in mounts:
        by_target[posixpath.normpath(mount["target"])] = volume_name(crew_id, mount["source"])
    return tuple(SharedVolume(name, target) for target, name in sorted(by_target.items()))


def _handed_over(targets: Sequence[str], home: str) -> tuple[str, ...]:
    """The roots of the volumes, and the directories that the engine makes on the way to one that
    lies within another: all would be root's. The home is the agent's in the image already, and a
    new volume takes that over."""
    found: dict[str, None] = {}
    for target in targets:
        above = [other for other in targets if target.startswith(f"{other}/")]
        outer = max(above, key=len, default="")
        if outer:
            inner = target.removeprefix(f"{outer}/").split("/")
            found |= {f"{outer}/{'/'.join(inner[:n])}": None for n in range(1, len(inner))}
        if target != posixpath.normpath(home):
            found[target] = None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Limits:
    memory_mb: int
    cpus: float
    pids: int


def _limits(crew: Crew, most: AgentOptions) -> _Limits:
    return _Limits(
        memory_mb=min(crew.agent_memory_mb or most.memory_mb, most.memory_mb),
        cpus=min(crew.agent_cpus or most.cpus, most.cpus),
        pids=min(crew.agent_pids or most.pids, most.pids),
    )
