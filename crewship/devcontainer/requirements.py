"""What base images and features may ask of images and containers; the rest is dropped, with a
warning.

The same in a crew's own config is an error. A feature's author is not the one who reads it, so
here the build goes on without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from crewship.devcontainer.environment import MAX_VALUE_BYTES, NAME
from crewship.devcontainer.findings import Findings, shorten
from crewship.devcontainer.options import is_protected
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.runtime_settings import (
    read_cap_add,
    read_mounts,
    read_privileged,
    read_security_opt,
)
from crewship.devcontainer.types import (
    FeatureMetadata,
    FeatureRequirements,
    HookName,
    Json,
    PlannedFeature,
)
from crewship.domain.errors import Problem


def feature_env(metadata: FeatureMetadata) -> tuple[tuple[str, str], ...]:
    """The containerEnv entries that take effect, values not expanded yet. PATH may be extended."""
    return tuple(entry for entry in metadata.container_env if not _env_fault(*entry))


def label_env(base: Sequence[FeatureMetadata]) -> tuple[tuple[str, str], ...]:
    """The containerEnv of a base image's label, values not expanded yet; the last entry of a name
    counts. It acts after all root steps, so it may set what a feature's may not."""
    env = {k: v for entry in base for k, v in entry.container_env if not _shape_fault(k, v)}
    return tuple(env.items())


def feature_requirements(
    features: Sequence[PlannedFeature],
    policy: Policy,
    base: Sequence[FeatureMetadata] = (),
) -> tuple[FeatureRequirements, tuple[Problem, ...]]:
    """What is left for containers, merged as the spec says, and a warning for each thing dropped.

    ``base`` are the entries of the base image's label; they come first. init: any; capabilities:
    union; mounts: the last of a target; entrypoints and postStart: all, in install order.
    """
    warnings: list[Problem] = []
    mounts: dict[str, Mapping[str, str]] = {}
    caps: dict[str, None] = {}
    of_base = [(f"base image.{m.id or number}", m) for number, m in enumerate(base)]
    of_features = [(f"features.{f.request.written_ref}", f.resolved.metadata) for f in features]
    for path, metadata in of_base + of_features:
        found = Findings()
        for mount in read_mounts(list(metadata.mounts), f"{path}.mounts", found):
            mounts.pop(mount["target"], None)
            mounts[mount["target"]] = mount
        caps |= dict.fromkeys(read_cap_add(list(metadata.cap_add), f"{path}.capAdd", policy, found))
        read_privileged(metadata.privileged, f"{path}.privileged", found)
        read_security_opt(list(metadata.security_opt), f"{path}.securityOpt", found)
        warnings += found.warnings
        warnings += _dropped(found.problems)
    for path, metadata in of_base:
        warnings += _env_warnings(metadata, path, _shape_fault)
    for path, metadata in of_features:
        warnings += _env_warnings(metadata, path, _env_fault)
        warnings += _deprecation(metadata, path)
    every = [metadata for _, metadata in of_base + of_features]
    requirements = FeatureRequirements(
        mounts=tuple(mounts.values()),
        init=any(metadata.init for metadata in every),
        cap_add=tuple(caps),
        entrypoints=tuple(m.entrypoint for m in every if m.entrypoint),
        post_start=tuple(h for m in every for h in m.hooks if h.name is HookName.POST_START),
        remote_env=_remote_env(base),
    )
    return requirements, tuple(warnings)


def _remote_env(base: Sequence[FeatureMetadata]) -> tuple[tuple[str, str], ...]:
    """Null unsets a variable in the spec; between entries that leaves it out."""
    env: dict[str, Json] = {}
    for entry in base:
        env |= entry.raw.get("remoteEnv") or {}
    return tuple((k, v) for k, v in env.items() if isinstance(v, str) and not _shape_fault(k, v))


def _dropped(problems: Iterable[Problem]) -> list[Problem]:
    return [Problem(p.path, p.code, f"dropped: {p.message}") for p in problems]


def _env_warnings(
    metadata: FeatureMetadata, path: str, fault_of: Callable[[str, str], str]
) -> list[Problem]:
    return [
        Problem(f"{path}.containerEnv.{shorten(name)}", "env_dropped", f"dropped: {fault}")
        for name, value in metadata.container_env
        if (fault := fault_of(name, value))
    ]


def _deprecation(metadata: FeatureMetadata, path: str) -> list[Problem]:
    if not metadata.deprecated:
        return []
    return [Problem(path, "feature_deprecated", "its publisher calls this feature deprecated")]


def _env_fault(name: str, value: str) -> str:
    if NAME.fullmatch(name) and name != "PATH" and is_protected(name):
        return "no feature may set this variable"
    return _shape_fault(name, value)


def _shape_fault(name: str, value: str) -> str:
    if not NAME.fullmatch(name):
        return "not the name of an environment variable"
    if len(value.encode("utf-8", "surrogatepass")) > MAX_VALUE_BYTES:
        return f"more than {MAX_VALUE_BYTES} bytes"
    return ""
