"""Step 1: what can be said without network or containers."""

from __future__ import annotations

from dataclasses import replace

from provisioning.pipeline.context import Context, Tools
from provisioning.pipeline.host_room import require_room


def validate(context: Context, tools: Tools) -> Context:
    """The engine answers, its disk has room, and the config's warnings are in the log.

    The texts themselves were parsed before the job got here; a bad one never reaches a step.
    """
    info = tools.engine.info()
    context = replace(context, host=info, platform=info.platform)
    require_room(context, tools)
    for warning in context.request.spec.warnings:
        tools.emit.system(f"Warning: {warning}")
    return context
