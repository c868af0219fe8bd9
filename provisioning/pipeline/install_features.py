"""Step 3: the agent user, then one layer a feature, each in the environment the spec names.

https://containers.dev/implementors/features/#invoking-installsh
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from crewship.devcontainer.plan import feature_env_so_far
from crewship.devcontainer.types import LayerKind, LayerPlan, PlannedFeature
from crewship.domain.errors import BuildStepFailed
from crewship.engine.base import ImageConfig
from provisioning.pipeline.context import AGENT_USER, FEATURE_DIR, Context, Tools
from provisioning.pipeline.layers import Made, build_layer
from provisioning.pipeline.probe import UserConflict, check_interpreter, probe_facts
from provisioning.pipeline.scratch import Env, Scratch, root_step_env

AGENT_USER_SCRIPT = Path(__file__).with_name("agent_user.sh").read_text()
LONGEST_PATH = 1024  # characters
HOME_SCRIPT = f"""\
while IFS=: read -r n _ _ _ _ h _ || [ -n "$n" ]; do
    [ "$n" != {AGENT_USER} ] || {{ echo "$h"; break; }}
done < /etc/passwd
"""


def install_features(context: Context, tools: Tools) -> Context:
    """The tip has the agent user and every feature of the plan, in the plan's order."""
    layers = [layer for layer in context.known_plan.layers if layer.kind == LayerKind.USER]
    for layer in layers:
        context = _user_layer(context, tools, layer)
    features = context.known_plan.features
    of_features = [x for x in context.known_plan.layers if x.kind == LayerKind.FEATURE]
    for index, (layer, feature) in enumerate(zip(of_features, features, strict=True)):
        tools.emit.message(
            f"installing devcontainer features ({index + 1} of {len(features)}: {_name(feature)})"
        )
        context = _feature_layer(context, tools, layer, index)
    return context


def _name(feature: PlannedFeature) -> str:
    return feature.request.ref.id


def _base_env(context: Context) -> Env:
    return context.known_base.config.env


def _user_layer(context: Context, tools: Tools, layer: LayerPlan) -> Context:
    def work(scratch: Scratch) -> Made:
        try:
            said = scratch.capture("Making the agent user", ["/bin/sh", "-c", AGENT_USER_SCRIPT])
        except BuildStepFailed as err:
            if err.extra.get("exit_code") in {70, 71}:
                raise UserConflict(f"The agent user can't be made: {err.message}") from err
            raise
        home = _checked_home(said.strip().rpartition("home=")[2])
        facts = {"home": home, "probe": probe_facts(context.probe)}
        return Made(ImageConfig(env=tuple(_base_env(context)), cmd=("/bin/sh",)), facts)

    result = build_layer(context, tools, layer, work)
    return replace(context, tip=result.image_id, home=str(result.facts["home"]))


def _feature_layer(context: Context, tools: Tools, layer: LayerPlan, index: int) -> Context:
    plan = context.known_plan
    feature = plan.features[index]
    name = _name(feature)
    env = feature_env_so_far(plan, index, _base_env(context), context.request.devcontainer_id)

    def work(scratch: Scratch) -> Made:
        check_interpreter(scratch, feature, context.probe)
        scratch.put(FEATURE_DIR, tools.archive_tar(feature.resolved))
        scratch.run(
            f"Feature {feature.request.written_ref}",
            ["/bin/sh", "-c", "chmod +x ./install.sh && exec ./install.sh"],
            env=[*env, *root_step_env(tools), *feature.env, *_user_env(context)],
            workdir=FEATURE_DIR,
        )
        facts = {"home": _agent_home(scratch)}
        return Made(ImageConfig(env=tuple(env), cmd=("/bin/sh",)), facts)

    result = build_layer(context, tools, layer, work)
    tools.emit.system(f"Feature {name} {'reused' if result.hit else 'installed'}")
    return replace(context, tip=result.image_id, home=result.facts.get("home") or context.home)


def _agent_home(scratch: Scratch) -> str:
    """Where the next feature and hooks find it: a feature may have moved it."""
    said = scratch.capture("Looking for the agent's home", ["/bin/sh", "-c", HOME_SCRIPT])
    return _checked_home(said.strip())


def _checked_home(path: str) -> str:
    """It is kept with the layer and set in every later environment. Raises UserConflict."""
    if len(path) > LONGEST_PATH or not path.isprintable():
        raise UserConflict(
            f"The agent's home is not a path that can be used: {path[:80]!r}",
            hint="A feature or the base image changed /etc/passwd; leave it out.",
        )
    return path


def _user_env(context: Context) -> Env:
    """Last, so that no option can stand in front of them."""
    return (
        ("_REMOTE_USER", AGENT_USER),
        ("_CONTAINER_USER", AGENT_USER),
        ("_REMOTE_USER_HOME", context.home),
        ("_CONTAINER_USER_HOME", context.home),
    )
