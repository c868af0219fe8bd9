"""Step 6: the final image gets the crew's tag, at once and only now that all of it succeeded."""

from __future__ import annotations

from crewship.domain.errors import CrewshipError
from provisioning.faults import FaultPoint, fault_point
from provisioning.pipeline.context import Context, Tools


def tag(context: Context, tools: Tools) -> Context:
    """``crewship-cache:<hash12>`` names the final image, whatever it named before.

    The draft's name stays until the job's end is recorded: should the worker die before that, it is
    by the draft's row that the image is found and removed.
    """
    if context.image is None or context.draft is None:
        raise CrewshipError("the step needs the final image, which snapshot makes")
    fault_point(FaultPoint.BEFORE_TAG)
    tools.engine.tag(context.image.image_id, context.request.tag)
    fault_point(FaultPoint.AFTER_TAG)
    tools.emit.system(f"Image {context.request.tag} is ready ({context.image.image_id[7:19]})")
    return context
