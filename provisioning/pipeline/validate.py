"""Step 1: what can be said without network or containers."""

from __future__ import annotations

from dataclasses import replace

from provisioning.pipeline.context import Context, Tools


def validate(context: Context, tools: Tools) -> Context:
    """The engine answers, its platform is known, and the config's warnings are in the log.

    The texts themselves were parsed before the job got here; a bad one never reaches a step.
    """
    info = tools.engine.info()
    for warning in context.request.spec.warnings:
        tools.emit.system(f"Warning: {warning}")
    return replace(context, platform=info.platform)
