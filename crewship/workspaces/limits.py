"""How many of each thing a workspace or a user may have: settings, counted under a lock.

What there is beyond a limit that was lowered stays; only more is refused.
"""

from __future__ import annotations

from crewship.domain.errors import ConfigError
from crewship.workspaces.models import Workspace


class LimitReached(ConfigError):
    """There are as many as are allowed; ``what`` says of what, ``limit`` how many."""

    code = "limit_reached"
    hint = "Remove what is not needed any more, or ask the operator to raise the limit."


def refuse_beyond(limit: int, count: int, what: str, *, of: str) -> None:
    """There is room for one more, or LimitReached. ``count`` is what there is, ``what`` is a plural
    such as ``running agents``, ``of`` is who has them."""
    if count >= limit:
        raise LimitReached(
            f"{of} has {count} of at most {limit} {what}.",
            extra={"what": what.replace(" ", "_"), "limit": limit},
        )


def lock_workspace(workspace: Workspace) -> None:
    """Nobody else counts or adds something in the workspace until the transaction ends.

    Locks are taken in one order everywhere, so that no two transactions wait for each other:
    workspace, crews (by id), jobs (a leader before its followers), cached images, agents (by id).
    With ``no_key`` a row that refers to a locked one can be written all the same (the audit
    trail's, a job's event): what refers to a row takes a lock on it as well.
    """
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
