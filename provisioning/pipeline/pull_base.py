"""Step 2: the base image, the features and mise are here, side by side, and the plan is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from crewship.devcontainer.lock import Pins
from crewship.devcontainer.order import order_features
from crewship.devcontainer.plan import make_plan
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import (
    BaseFacts,
    CrewSpec,
    FeatureRequest,
    MiseSpec,
    ResolvedFeature,
)
from crewship.domain.errors import ConfigError, RegistryUnreachable
from crewship.engine.base import ImageInfo
from provisioning.pipeline.context import AGENT_HOME, Context, Features, Tools

# What a build writes; a VOLUME of the base at or above one of them would lose it at commit.
WRITTEN = (AGENT_HOME, "/etc", "/opt", "/opt/mise", "/usr", "/usr/local/bin", "/var/lib")


class BaseVolume(ConfigError):
    code = "base_volume"
    hint = "Choose a base image that declares no VOLUME there."


def pull_base(context: Context, tools: Tools) -> Context:
    """Base, features in install order and mise are known by digest; so is every layer's key.

    Raises the typed error of whichever failed first in that order.
    """
    spec = context.request.spec
    with ThreadPoolExecutor(3, thread_name_prefix="fetch") as pool:
        base = pool.submit(_base_image, context, tools)
        policy = tools.options.policy
        ordered = pool.submit(ordered_features, context.request.spec, tools.features, policy)
        mise = pool.submit(tools.mise, context.platform) if spec.mise.tools else None
        image, features = base.result(), ordered.result()
        tool = mise.result() if mise else None
    tools.check_cancelled()
    _probe(image, tools)
    plan = make_plan(
        spec,
        features,
        base=BaseFacts(image.image_id, image.platform, image.layer_count),
        mise_digest=tool.sha256 if tool else None,
        scope_key=context.request.scope_key,
        resolved_mise=with_default_versions(spec.mise, tools.options.default_versions),
        policy=tools.options.policy,
    )
    for warning in plan.warnings:
        if warning not in spec.warnings:
            tools.emit.system(f"Warning: {warning}")
    return replace(context, base=image, ordered=features, mise=tool, plan=plan, tip=image.image_id)


def with_default_versions(mise: MiseSpec, defaults: Mapping[str, str]) -> MiseSpec:
    """Empty versions become the catalog's default ones, ``latest`` where it has none."""
    return replace(
        mise,
        tools=tuple(
            replace(
                tool, versions=tuple(v or defaults.get(tool.name, "latest") for v in tool.versions)
            )
            for tool in mise.tools
        ),
    )


def _base_image(context: Context, tools: Tools) -> ImageInfo:
    """The host has the base: pulled when absent; a rebuild asks the registry first."""
    wanted = context.request.spec.base
    local = tools.engine.image(str(wanted))
    if local is not None and not context.request.rebuild:
        tools.emit.system(f"Base image {wanted} is on the host ({local.image_id[7:19]})")
        return _checked_platform(local, context, str(wanted))
    try:
        pulled = tools.engine.pull(
            str(wanted),
            platform=context.platform,
            credentials=tools.credentials(wanted.registry),
            on_progress=tools.emit.message,
            cancel=tools.cancel,
        )
    except RegistryUnreachable as err:
        if local is None:
            raise
        tools.emit.system(f"Warning: {err.message} Going on with the copy on the host.")
        return _checked_platform(local, context, str(wanted))
    tools.emit.system(f"Base image {wanted} pulled ({pulled.image_id[7:19]})")
    return _checked_platform(pulled, context, str(wanted))


def _checked_platform(image: ImageInfo, context: Context, wanted: str) -> ImageInfo:
    if image.platform != context.platform:
        raise ConfigError(
            f"The image {wanted} is for {image.platform}, this host runs {context.platform}.",
            code="arch_mismatch",
            hint="Choose an image for the host's platform.",
        )
    return image


def ordered_features(
    spec: CrewSpec, features: Features, policy: Policy
) -> tuple[tuple[FeatureRequest, ResolvedFeature], ...]:
    """What the config's features and their dependencies are now, or by its lock, in the order to
    install them. Raises as ``order_features`` and the registry do, and LockMismatch."""
    pins = Pins(spec.lock)
    ordered = order_features(
        spec.features,
        spec.override_order,
        pins.resolver(features.resolve),
        policy=policy,
        prefetch=pins.prefetcher(features.prefetch),
    )
    return tuple((request, features.installable(found)) for request, found in ordered)


def _probe(image: ImageInfo, tools: Tools) -> None:
    lost = [path for path in image.config.volumes if _covers(path, WRITTEN)]
    if lost:
        raise BaseVolume(
            f"The base image declares a VOLUME at {', '.join(lost)}: "
            "what a build writes there would be lost."
        )
    for path in image.config.volumes:
        tools.emit.system(f"Warning: {path} is a VOLUME of the base; a build can't write there.")


def _covers(volume: str, paths: Sequence[str]) -> bool:
    root = volume.rstrip("/") or "/"
    return any(path == root or path.startswith(root.rstrip("/") + "/") for path in paths)
