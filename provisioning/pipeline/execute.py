"""The six steps in their order, and the path from a request to an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from crewship.devcontainer.policy import Policy
from crewship.devcontainer.requirements import feature_requirements
from crewship.devcontainer.types import BuildPlan
from crewship.domain.errors import CrewshipError
from provisioning.pipeline.clean_up import clean_up
from provisioning.pipeline.context import BuildRequest, BuiltImage, Context, Tools
from provisioning.pipeline.install_features import install_features
from provisioning.pipeline.install_mise import install_mise
from provisioning.pipeline.pull_base import pull_base
from provisioning.pipeline.snapshot import snapshot
from provisioning.pipeline.tag import tag
from provisioning.pipeline.validate import validate

Step = Callable[[Context, Tools], Context]


@dataclass(frozen=True, slots=True)
class StepEntry:
    label: str
    message: str  # what is shown while it runs and nothing more exact is known
    run: Step


STEPS: tuple[StepEntry, ...] = (
    StepEntry("validate", "checking the config", validate),
    StepEntry("pull-base", "fetching the base image and features", pull_base),
    StepEntry("install-features", "installing devcontainer features", install_features),
    StepEntry("install-mise", "installing mise tools", install_mise),
    StepEntry("snapshot", "running lifecycle commands and committing", snapshot),
    StepEntry("tag", "tagging the image", tag),
)
LABELS = tuple(entry.label for entry in STEPS)


def execute(request: BuildRequest, tools: Tools) -> BuiltImage:
    """The image for the request exists under its tag.

    Raises typed errors; whatever a failed step made in containers is gone, finished layers stay
    and serve the next try.
    """
    context = Context(request)
    try:
        for number, entry in enumerate(STEPS, start=1):
            tools.check_cancelled()
            tools.emit.step(number, entry.message)
            context = entry.run(context, tools)
    except BaseException:
        if context.draft is not None:  # committed, but not the crew's yet
            with clean_up(context.draft.tag):
                tools.engine.remove_image(context.draft.tag)
                tools.ledger.drop_layer(context.draft)
        raise
    if context.image is None:
        raise CrewshipError("the pipeline ended without an image")
    return BuiltImage(
        image=context.image,
        tag=request.tag,
        parent_image_id=context.tip,
        requirements=_requirements(context.known_plan, tools.options.policy),
        provenance=_provenance(context),
        resolved_features=_resolved_features(context.known_plan),
        draft=context.draft,
    )


def drop_draft(built: BuiltImage, tools: Tools) -> None:
    """The image has the crew's tag only; called when our records say how its job ended."""
    if built.draft is not None:
        with clean_up(built.draft.tag):
            tools.engine.remove_image(built.draft.tag)
            tools.ledger.drop_layer(built.draft)


def _requirements(plan: BuildPlan, policy: Policy) -> Mapping[str, Any]:
    """What base and features ask of a container at start; a crew's own settings come from the
    crew, so that two crews with one image each get theirs."""
    asked, _ = feature_requirements(
        plan.features, policy, plan.base
    )  # its warnings are in the plan's
    return asdict(asked)


def _provenance(context: Context) -> Mapping[str, Any]:
    base = context.known_base
    return {
        "base": {
            "ref": str(context.request.spec.base),
            "image_id": base.image_id,
            "digests": list(base.repo_digests),
        },
        "features": _resolved_features(context.known_plan),
        "lock": {str(item.ref): item.digest for item in context.request.spec.lock},
        "mise": {
            "version": context.mise.version if context.mise else None,
            "tools": context.mise_facts.get("tools", {}),
        },
        "home": context.home,
        "layers": [
            {"kind": x.kind, "label": x.label, "key": x.key} for x in context.known_plan.layers
        ],
    }


def _resolved_features(plan: BuildPlan) -> list[dict[str, Any]]:
    return [
        {
            "ref": feature.request.written_ref,
            "resolved": f"{feature.resolved.ref.resource}@{feature.resolved.identity}",
            "version": feature.resolved.metadata.version,
            "options": sorted(feature.request.options),
            "depends_on": [written for written, _ in feature.resolved.metadata.depends_on],
        }
        for feature in plan.features
    ]
