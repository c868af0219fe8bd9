"""Building one layer, or finding it: the heart of the builder.

A layer is a fresh container of the layer below, committed under a name that stands in our records
before the image does. Identical layers are built once: a lease per key, then a second look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crewship.devcontainer.types import LayerPlan
from crewship.domain.errors import CrewshipError
from crewship.engine.base import ImageConfig, ImageInfo
from provisioning.faults import FaultPoint, fault_point
from provisioning.pipeline.clean_up import clean_up
from provisioning.pipeline.context import Context, LayerDraft, LayerRecord, Tools
from provisioning.pipeline.host_room import begun_again
from provisioning.pipeline.scratch import Scratch, others_blamed, scratch_container


@dataclass(frozen=True, slots=True)
class Made:
    """What the work in a container amounts to: the image's config, and facts to remember."""

    config: ImageConfig
    facts: Mapping[str, Any] = field(default_factory=dict)  # JSON


@dataclass(frozen=True, slots=True)
class LayerResult:
    image_id: str
    facts: Mapping[str, Any]
    hit: bool


Work = Callable[[Scratch], Made]


def build_layer(context: Context, tools: Tools, layer: LayerPlan, work: Work) -> LayerResult:
    """The layer stands on ``context.tip``: found by its key, or made by ``work`` and recorded.

    A rebuild never looks; what it makes stands beside the old layer and is found first later.
    """
    tools.check_cancelled()
    key = _known_key(layer)
    began = time.monotonic()
    if not context.request.rebuild and (found := _find(tools, key)):
        return _hit(tools, layer, found)
    with tools.ledger.lease(key):
        if not context.request.rebuild and (found := _find(tools, key)):
            return _hit(tools, layer, found)  # another job built it while we waited
        draft, image, made = commit_layer(context, tools, layer, work)
        fault_point(FaultPoint.BEFORE_LAYER_ROW)
        tools.ledger.finish_layer(draft, image, made.facts)
        fault_point(FaultPoint.AFTER_LAYER_ROW)
    tools.emit.layer(layer, hit=False, seconds=time.monotonic() - began)
    return LayerResult(image.image_id, made.facts, hit=False)


def commit_layer(
    context: Context, tools: Tools, layer: LayerPlan, work: Work
) -> tuple[LayerDraft, ImageInfo, Made]:
    """``work`` ran in a container of ``context.tip``, and what it changed is an image under the
    draft's tag. On any failure neither container nor name is left.

    It runs once more, from the beginning, when another build had filled the host's disk meanwhile.
    """
    return begun_again(
        context, tools, layer.label, lambda: _commit_once(context, tools, layer, work)
    )


def _commit_once(
    context: Context, tools: Tools, layer: LayerPlan, work: Work
) -> tuple[LayerDraft, ImageInfo, Made]:
    draft = tools.ledger.begin_layer(layer, context.tip)
    try:
        suffix = f"{layer.kind}-{draft.row_id}"
        with (
            scratch_container(context, tools, context.tip, suffix) as scratch,
            others_blamed(scratch),
        ):
            made = work(scratch)
            scratch.sweep()
            tools.check_cancelled()
            scratch.guard.check_layer()
            fault_point(FaultPoint.BEFORE_COMMIT)
            image_id = tools.engine.commit(scratch.name, made.config, draft.tag)
            fault_point(FaultPoint.AFTER_COMMIT)
            scratch.guard.check()
        image = tools.engine.image(image_id)
        if image is None:
            raise CrewshipError(f"The image of the layer {layer.label} vanished after its commit.")
    except BaseException:
        with clean_up(draft.tag):
            tools.engine.remove_image(draft.tag)
            tools.ledger.drop_layer(draft)
        raise
    return draft, image, made


def _find(tools: Tools, key: str) -> LayerRecord | None:
    """The newest recorded layer whose image the host really has under the recorded name."""
    for record in tools.ledger.find_layers(key):
        image = tools.engine.image(record.tag)
        if image is not None and image.image_id == record.image_id:
            return record
    return None


def _hit(tools: Tools, layer: LayerPlan, record: LayerRecord) -> LayerResult:
    tools.ledger.use_layer(record.tag)
    tools.emit.layer(layer, hit=True, seconds=0.0)
    return LayerResult(record.image_id, record.facts, hit=True)


def _known_key(layer: LayerPlan) -> str:
    if layer.key is None:
        raise CrewshipError(f"The layer {layer.label} has no key though its base is known.")
    return layer.key
