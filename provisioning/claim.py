"""Which job runs next: workspaces take turns, and none runs more than its limit."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F
from django.db.models.functions import Now

from crewship.workspaces.models import Workspace
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from provisioning.transitions import StaleJobState, advance


def claim_next(host_id: str, worker: str) -> ProvisionJob | None:
    """The job whose turn it is now runs under this worker's name and a new fence; None if there
    is none that may run."""
    while True:
        job = _next(host_id)
        if job is None:
            return None
        try:
            return _claim(job, worker)
        except StaleJobState:
            continue  # another worker was quicker; look again


def runnable_exists(host_id: str) -> bool:
    """Whether ``claim_next`` would find something now."""
    return _next(host_id) is not None


@transaction.atomic
def _claim(job: ProvisionJob, worker: str) -> ProvisionJob:
    # Two workers that see room for one must not both use it: the workspace's row is the turnstile.
    workspace = Workspace.objects.select_for_update().get(pk=job.workspace_id)
    if not _has_room(workspace, _running().get(workspace.pk, 0)):
        raise StaleJobState("The workspace's running jobs are at its limit.")
    Workspace.objects.filter(pk=workspace.pk).update(last_turn_at=Now())
    return advance(
        job,
        JobState.RUNNING,
        guard=job.fence,
        data={"worker": worker},
        fence=F("fence") + 1,
        worker=worker,
        heartbeat_at=Now(),
        started_at=Now(),
        step=0,
        message="",
    )


def _next(host_id: str) -> ProvisionJob | None:
    """The oldest runnable job of the workspace that runs the fewest now; among equals, of the one
    whose last turn is longest ago."""
    pending = ProvisionJob.objects.filter(host_id=host_id, state=JobState.PENDING, leader=None)
    running = _running()
    waiting = [
        workspace
        for workspace in Workspace.objects.filter(pk__in=pending.values("workspace_id"))
        if _has_room(workspace, running.get(workspace.pk, 0))
    ]
    if not waiting:
        return None
    turn = min(
        waiting,
        key=lambda w: (
            running.get(w.pk, 0),
            w.last_turn_at.timestamp() if w.last_turn_at else 0.0,
            w.pk,
        ),
    )
    return pending.filter(workspace=turn).order_by("created_at", "id").first()


def _running() -> dict[str, int]:
    rows = ProvisionJob.objects.filter(state=JobState.RUNNING).order_by()
    return dict(rows.values_list("workspace_id").annotate(Count("id")))


def _has_room(workspace: Workspace, running: int) -> bool:
    limit = workspace.running_limit or settings.CREWSHIP.limits.running_per_workspace
    return running < limit
