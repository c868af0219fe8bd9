"""Step 6: the final image gets the crew's tag, at once and only now that all of it succeeded."""

from __future__ import annotations

from crewship.domain.errors import CrewshipError
from provisioning.faults import FaultPoint, fault_point
from provisioning.pipeline.context import Context, Tools


def tag(context: Context, tools: Tools) -> Context:
    """``crewship-cache:<hash12>`` names the final image, whatever it named before."""
    if context.image is None or context.draft is None:
        raise CrewshipError("the step needs the final image, which snapshot makes")
    fault_point(FaultPoint.BEFORE_TAG)
    tools.engine.tag(context.image.image_id, context.request.tag)
    fault_point(FaultPoint.AFTER_TAG)
    tools.engine.remove_image(context.draft.tag)
    tools.ledger.drop_layer(context.draft)
    tools.emit.system(f"Image {context.request.tag} is ready ({context.image.image_id[7:19]})")
    return context
