"""What dead workers leave behind: jobs back into the queue, followers served, rows pruned.

``sweep_jobs`` needs the database only and runs once in an installation; ``sweep_host`` needs the
engine and runs beside each one.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from cache.models import DockerHost, Layer, LayerLease
from crewship.domain.errors import CrewshipError, EngineError, ImageInUse
from crewship.engine.base import Engine
from provisioning.claim import runnable_exists
from provisioning.finish import fail, promote_followers
from provisioning.models import ProvisionJob, ProvisionStart, ScratchContainer
from provisioning.queue import knock, queue_is_empty
from provisioning.states import ACTIVE, JobState
from provisioning.transitions import StaleJobState, advance
from provisioning.worker_processes import forget_dead_workers, live_workers

log = logging.getLogger(__name__)

HEARTBEAT_LOST_AFTER = timedelta(seconds=15)
TRIES = 2  # a job that takes down its second worker is the trouble itself


class WorkerLost(CrewshipError):
    code = "worker_lost"
    hint = "Try again; if it happens again, look at the worker's log and the host's memory."


def sweep_jobs() -> None:
    """Jobs of lost workers are pending again or failed, orphans of dead leaders go on, and
    pending work has been knocked for."""
    for job in ProvisionJob.objects.filter(
        state=JobState.RUNNING, heartbeat_at__lt=Now() - HEARTBEAT_LOST_AFTER
    ):
        _take_from_lost_worker(job)
    _free_orphans()
    ProvisionStart.objects.filter(at__lt=timezone.now() - timedelta(minutes=2)).delete()
    forget_dead_workers()
    if queue_is_empty():
        for host in DockerHost.objects.all():
            if runnable_exists(host.pk):
                idle = [w for w in live_workers(host.name) if w.job_id is None]
                for _ in range(max(1, len(idle))):  # one message is one worker's
                    knock("sweep")


def _take_from_lost_worker(job: ProvisionJob) -> None:
    try:
        if job.lost_workers + 1 >= TRIES:
            error = WorkerLost(f"The worker {job.worker} was lost, and another one before it.")
            fail(job, error, guard=job.fence)
            return
        # The fence grows now, so that a worker that only slept can write nothing more.
        advance(
            job,
            JobState.PENDING,
            guard=job.fence,
            data={"reason": "worker_lost", "worker": job.worker},
            fence=job.fence + 1,
            lost_workers=job.lost_workers + 1,
            message="its worker was lost; waiting for another one",
            step=0,
        )
    except StaleJobState:
        return
    log.warning("%s lost its worker %s", job.pk, job.worker)


def _free_orphans() -> None:
    """Pending jobs whose leader is not active any more; normally its end has served them."""
    orphaned = ProvisionJob.objects.filter(state=JobState.PENDING, leader__isnull=False).exclude(
        leader__state__in=ACTIVE
    )
    for leader in {job.leader for job in orphaned.select_related("leader")}:
        if leader is not None:
            with transaction.atomic():
                promote_followers(leader)


def sweep_host(engine: Engine, host: DockerHost) -> None:
    """No container, half-made layer or lease of a job that does not run any more is left.

    By names in our records only.
    """
    _remove_containers(engine, host)
    _remove_drafts(engine, host)
    for lease in LayerLease.objects.filter(host=host):
        if not _runs(lease.job_id, lease.fence):
            lease.delete()


def _remove_containers(engine: Engine, host: DockerHost) -> None:
    for row in ScratchContainer.objects.filter(host=host):
        if _runs(row.job_id, row.fence):
            continue
        if engine.remove_container(row.name):
            log.warning("removed %s, left by %s", row.name, row.job_id)
        row.delete()


def _remove_drafts(engine: Engine, host: DockerHost) -> None:
    running = ProvisionJob.objects.filter(pk=OuterRef("job_id"), state=JobState.RUNNING)
    drafts = Layer.objects.filter(~Exists(running), Q(image_id="") | Q(kind="final"), host=host)
    for draft in drafts:
        try:
            engine.remove_image(draft.tag)
        except (ImageInUse, EngineError) as err:
            log.warning("%s can't be removed yet: %s", draft.tag, err)
            continue
        draft.delete()


def _runs(job_id: str, fence: int) -> bool:
    return ProvisionJob.objects.filter(pk=job_id, fence=fence, state=JobState.RUNNING).exists()
