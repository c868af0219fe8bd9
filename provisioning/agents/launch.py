"""Starting and ending one agent's container; effects go through the Engine alone."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence

from crewship.domain.errors import CrewshipError
from crewship.engine.base import Engine
from provisioning.agents.agent_plan import AgentPlan
from provisioning.pipeline.context import AGENT_UID


def launch(engine: Engine, plan: AgentPlan, *, hand_over: bool = True) -> str:
    """A new container runs as planned, in place of one of that name; returns its id.

    The crew's network is there already. ``hand_over``: its volumes may be new, so their roots are
    made the agent's. What fails leaves no container behind.
    """
    engine.remove_container(plan.spec.name)
    container = engine.create_agent(plan.spec)
    try:
        if hand_over:
            engine.put_archive(container, "/", _directories(plan.handed_over))
        engine.start_with_input(container, plan.script)
    except CrewshipError:
        engine.remove_container(container)
        raise
    return container


def _directories(paths: Sequence[str]) -> bytes:
    """Directories that exist take over owner and mode; what is in them stays as it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in paths:
            member = tarfile.TarInfo(path.lstrip("/"))
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            member.uid = member.gid = int(AGENT_UID)
            tar.addfile(member)
    return buffer.getvalue()
