"""The build plan: layers with keys, pure data made from a spec and its resolved features.

A layer's key is SHA-256 over the parent's key and everything the step reads, so that equal keys
mean equal content and crews share their common prefix. The same input gives the same plan, on
every machine and in every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from crewship.devcontainer.canonical import digest
from crewship.devcontainer.environment import apply_env, check_size, expand_env, expand_feature_env
from crewship.devcontainer.findings import shorten
from crewship.devcontainer.hashing import GENERATOR, config_hash, hook_parts, mise_parts
from crewship.devcontainer.options import option_env
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.requirements import feature_env, feature_requirements, label_env
from crewship.devcontainer.types import (
    BAKED_HOOKS,
    BaseFacts,
    BuildPlan,
    CrewSpec,
    FeatureMetadata,
    FeatureRef,
    FeatureRequest,
    Hook,
    Json,
    LayerKind,
    LayerPlan,
    MiseSpec,
    PlannedFeature,
    ResolvedFeature,
)
from crewship.domain.errors import ConfigInvalid, Problem, TooManyLayers

AGENT_USER: Final = "agent"
AGENT_UID: Final = 1001
# The engine makes images of up to 125 layers ("max depth exceeded" above); some room is left to
# those who build on ours.
MAX_LAYERS: Final = 120
USER_PARTS: Final = {"user": AGENT_USER, "uid": AGENT_UID}


def make_plan(
    spec: CrewSpec,
    ordered: Sequence[tuple[FeatureRequest, ResolvedFeature]],
    *,
    base: BaseFacts | None,
    mise_digest: str | None,
    scope_key: str = "",
    resolved_mise: MiseSpec | None = None,
    policy: Policy | None = None,
) -> BuildPlan:
    """The plan for features in their install order.

    ``base`` and ``mise_digest`` (of the mise binary) are None where they are not known yet: then
    the keys that depend on them are None. ``resolved_mise`` has the versions that stand for the
    spec's empty ones. Raises ConfigInvalid with all ``option_invalid`` problems, TooManyLayers.
    """
    features, warnings = _planned(ordered)
    of_base = base.metadata if base else ()
    _, dropped = feature_requirements(features, policy or Policy(), of_base)
    stack = _Stack(base, scope_key)
    stack.add(LayerKind.USER, f"user {AGENT_USER}", USER_PARTS)
    env = _add_features(stack, features)
    mise = resolved_mise or spec.mise
    if mise.tools:
        # Its env is the final layer's: mise never sees it, see ADR 4.
        parts = {"mise": mise_digest, "tools": mise_parts(mise)["tools"], "feature_env": env}
        stack.add(LayerKind.MISE, _mise_label(mise), parts, known=mise_digest is not None)
    _add_final(stack, spec, _hook_runs(spec, features, of_base), env)
    if base is not None and base.layer_count + len(stack.layers) > MAX_LAYERS:
        raise TooManyLayers(
            f"the base image has {base.layer_count} layers and this config adds "
            f"{len(stack.layers)}; together at most {MAX_LAYERS} are possible"
        )
    return BuildPlan(
        config_hash=config_hash(spec, scope_key),
        spec=spec,
        features=features,
        layers=tuple(stack.layers),
        warnings=(*spec.warnings, *warnings, *dropped),
        base=of_base,
    )


def user_layer_key(base: BaseFacts, scope_key: str) -> str | None:
    """The key of the layer with the agent user: it depends on the base image alone."""
    stack = _Stack(base, scope_key)
    stack.add(LayerKind.USER, f"user {AGENT_USER}", USER_PARTS)
    return stack.layers[0].key


def hook_runs(plan: BuildPlan) -> tuple[tuple[str, Hook], ...]:
    """The lifecycle commands that are baked in, in the order they run, with whose they are.

    All onCreate, then all updateContent, then all postCreate; of each those of the base image's
    label, the features' own in install order (label ``node:1``), then the config's (label "").
    """
    return _hook_runs(plan.spec, plan.features, plan.base)


def feature_env_so_far(
    plan: BuildPlan, index: int, base_env: Sequence[tuple[str, str]], devcontainer_id: str = ""
) -> tuple[tuple[str, str], ...]:
    """The image environment that is active while feature ``index`` installs, its own included.

    ``len(plan.features) - 1`` gives what holds after all features. Options are not in it.
    Raises EnvTooLarge.
    """
    env = dict(base_env)
    for feature in plan.features[: index + 1]:
        for name, value in feature_env(feature.resolved.metadata):
            apply_env(env, [(name, expand_feature_env(value, env, devcontainer_id))])
        check_size(env)
    return tuple(env.items())


def image_env(
    plan: BuildPlan,
    base_env: Sequence[tuple[str, str]],
    mise_env: Sequence[tuple[str, str]],
    devcontainer_id: str,
) -> tuple[tuple[str, str], ...]:
    """The finished image's ENV: base, features, mise, containerEnv of the base's label, then the
    config's; later ones win.

    ``mise_env`` is what the tools need (PATH, JAVA_HOME); the mise config's own env comes before
    it. ``${containerEnv:X}`` sees what holds below containerEnv, so its order has no effect. PATH
    is only ever extended. Raises EnvTooLarge.
    """
    env = dict(feature_env_so_far(plan, len(plan.features) - 1, base_env, devcontainer_id))
    apply_env(env, plan.spec.mise.env)
    apply_env(env, mise_env)
    below = dict(env)
    apply_env(
        env,
        [
            (name, expand_env(value, below, devcontainer_id))
            for name, value in (*label_env(plan.base), *plan.spec.container_env)
        ],
    )
    check_size(env)
    return tuple(env.items())


def short_label(ref: FeatureRef) -> str:
    """``node:1``, or ``node@sha256:0123456789ab``."""
    return f"{ref.id}@{ref.digest[:19]}" if ref.digest else f"{ref.id}:{ref.tag}"


class _Stack:
    """Layers under way; above an unknown key every key is unknown."""

    def __init__(self, base: BaseFacts | None, scope_key: str) -> None:
        self.layers: list[LayerPlan] = []
        self._top = base.image_id if base else None
        self._fixed = {
            "platform": base.platform if base else "",
            "generator": GENERATOR,
            "scope": scope_key,
        }

    def add(
        self, kind: LayerKind, label: str, parts: Mapping[str, Json], *, known: bool = True
    ) -> None:
        key = None
        if known and self._top is not None:
            key = digest({"parent": self._top, "kind": kind.value, "parts": parts, **self._fixed})
        self._top = key
        self.layers.append(LayerPlan(kind, label, key, parts))


def _planned(
    ordered: Sequence[tuple[FeatureRequest, ResolvedFeature]],
) -> tuple[tuple[PlannedFeature, ...], tuple[Problem, ...]]:
    features: list[PlannedFeature] = []
    warnings: list[Problem] = []
    problems: list[Problem] = []
    for request, resolved in ordered:
        try:
            env, found = option_env(
                resolved.metadata,
                request.options,
                f"features.{request.written_ref}",
                shorthand=isinstance(request.written_options, str),
            )
        except ConfigInvalid as error:
            problems += error.problems
            continue
        warnings += found
        features.append(PlannedFeature(request, resolved, env))
    if problems:
        raise ConfigInvalid(problems)
    return tuple(features), tuple(warnings)


def _hook_runs(
    spec: CrewSpec, features: Sequence[PlannedFeature], base: Sequence[FeatureMetadata]
) -> tuple[tuple[str, Hook], ...]:
    owners = [(shorten(entry.id) or "the base image", entry.hooks) for entry in base]
    owners += [(short_label(f.request.ref), f.resolved.metadata.hooks) for f in features]
    owners.append(("", spec.hooks))
    return tuple(
        (owner, hook)
        for name in BAKED_HOOKS
        for owner, hooks in owners
        for hook in hooks
        if hook.name is name
    )


def _add_features(stack: _Stack, features: Sequence[PlannedFeature]) -> list[list[str]]:
    """A layer each. Returns the containerEnv of all: each acts from its feature's install on."""
    env: list[list[str]] = []
    for feature in features:
        env = [*env, *(list(entry) for entry in feature_env(feature.resolved.metadata))]
        parts: dict[str, Json] = {
            "digest": feature.resolved.archive_digest,
            "options": dict(feature.env),
            "user": AGENT_USER,
            "env": env,
        }
        known = bool(feature.resolved.archive_digest)
        stack.add(LayerKind.FEATURE, short_label(feature.request.ref), parts, known=known)
    return env


def _add_final(
    stack: _Stack, spec: CrewSpec, runs: Sequence[tuple[str, Hook]], env: list[list[str]]
) -> None:
    names = dict.fromkeys(hook.name.value for _, hook in runs)
    parts = {
        "hooks": [hook_parts(hook) for _, hook in runs],
        "container_env": dict(spec.container_env),
        "feature_env": env,
        "mise_env": dict(spec.mise.env),
        "user": AGENT_USER,
    }
    label = f"{', '.join(names)} and config" if names else "config"
    stack.add(LayerKind.FINAL, label, parts)


def _mise_label(spec: MiseSpec) -> str:
    tools = [
        f"{tool.name}@{version}" if version else tool.name
        for tool in spec.tools
        for version in tool.versions
    ]
    return f"mise: {' '.join(tools)}"
