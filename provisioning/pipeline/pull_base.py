"""Step 2: the base image, the features and mise are here, side by side, and the plan is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from threading import Event

from crewship.devcontainer.label import LABEL, read_label
from crewship.devcontainer.lock import Pins
from crewship.devcontainer.order import order_features
from crewship.devcontainer.plan import make_plan
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import (
    BaseFacts,
    CrewSpec,
    FeatureRequest,
    ImageRef,
    MiseSpec,
    ResolvedFeature,
)
from crewship.domain.errors import BuildCancelled, RegistryUnreachable
from crewship.engine.base import ImageInfo
from crewship.engine.names import image_named
from crewship.registry.background import result_of, start
from provisioning.pipeline.context import Context, Features, Tools
from provisioning.pipeline.host_room import guarded
from provisioning.pipeline.probe import check_config, check_features, check_mise, probe_base


def pull_base(context: Context, tools: Tools) -> Context:
    """Base, features in install order and mise are known by digest; so is every layer's key. The
    base can carry what is to be built on it.

    Raises the typed error of whichever failed first in that order.
    """
    spec = context.request.spec
    policy = tools.options.policy
    base = start(lambda: _base_image(context, tools), "fetch-base")
    ordered = start(lambda: ordered_features(spec, tools.features, policy), "fetch-features")
    mise = start(lambda: tools.mise(context.platform), "fetch-mise") if spec.mise.tools else None
    # A job that is cancelled, or fails by one of them, does not wait for the others: they see the
    # cancel themselves, or end by their own time-outs.
    image = result_of(base, tools.cancel)
    tools.ledger.note_base(str(spec.base), image)
    check_config(image, context, tools)
    probe = probe_base(image, context, tools)  # while the others are still being fetched
    features = result_of(ordered, tools.cancel)
    tool = result_of(mise, tools.cancel) if mise else None
    metadata, ignored = read_label(image.config.labels.get(LABEL, ""))
    plan = make_plan(
        spec,
        features,
        base=BaseFacts(image.image_id, image.platform, image.layer_count, metadata),
        mise_digest=tool.sha256 if tool else None,
        scope_key=context.request.scope_key,
        resolved_mise=with_default_versions(spec.mise, tools.options.default_versions),
        policy=tools.options.policy,
    )
    for warning in (*ignored, *plan.warnings):
        if warning not in spec.warnings:
            tools.emit.system(f"Warning: {warning}")
    check_features(probe, plan.features, tools)
    if tool:
        check_mise(probe, tool, context)
    return replace(
        context,
        base=image,
        probe=probe,
        ordered=features,
        mise=tool,
        plan=plan,
        tip=image.image_id,
    )


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
    local = image_named(tools.engine, wanted)
    if local is not None and not context.request.rebuild:
        tools.emit.system(f"Base image {wanted} is on the host ({local.image_id[7:19]})")
        return local
    try:
        pulled = _pull(wanted, context, tools)
    except RegistryUnreachable as err:
        if local is None:
            raise
        tools.emit.system(f"Warning: {err.message} Going on with the copy on the host.")
        return local
    tools.emit.system(f"Base image {wanted} pulled ({pulled.image_id[7:19]})")
    return pulled


def _pull(wanted: ImageRef, context: Context, tools: Tools) -> ImageInfo:
    stop = Event()  # set with the job's cancel too
    with guarded(context, tools, stop.set) as guard:
        try:
            return tools.engine.pull(
                str(wanted),
                platform=context.platform,
                credentials=tools.credentials(wanted.registry),
                on_progress=tools.emit.message,
                cancel=stop,
            )
        except BuildCancelled:
            guard.check()
            raise


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
