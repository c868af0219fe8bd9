"""What dead workers leave behind: jobs back into the queue, followers served, rows pruned.

``sweep_jobs`` needs the database only and runs once in an installation; ``sweep_host`` needs the
engine and runs beside each one.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from cache.models import DockerHost, Layer, LayerLease
from cache.selectors import cache_tag
from cache.upkeep import Kind, Upkeep
from crewship.devcontainer.types import LayerKind
from crewship.domain.errors import CrewshipError
from crewship.engine.base import Engine
from provisioning.claim import runnable_exists
from provisioning.finish import fail, lock_crews_around, promote_followers
from provisioning.models import ProvisionJob, ProvisionStart, ScratchContainer
from provisioning.queue import knock, queue_is_empty
from provisioning.retire import retire_image
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
    pending work has been knocked for. What fails for one job or leader stops only itself."""
    _take_from_lost_workers()
    _free_orphans()
    with Upkeep(Kind.PRUNE) as upkeep:
        upkeep.attempt("starts", _forget_old_starts)
        upkeep.attempt("workers", forget_dead_workers)
    if queue_is_empty():
        with Upkeep(Kind.WAKE) as upkeep:
            for host in DockerHost.objects.all():
                upkeep.attempt(host.name, partial(_knock_for_work, host))


def _forget_old_starts() -> None:
    ProvisionStart.objects.filter(at__lt=timezone.now() - timedelta(minutes=2)).delete()


def _knock_for_work(host: DockerHost) -> None:
    if runnable_exists(host.pk):
        idle = [w for w in live_workers(host.name) if w.job_id is None]
        for _ in range(max(1, len(idle))):  # one message is one worker's
            if not knock("sweep"):
                return  # Redis is away: the next sweep tries again


def _take_from_lost_workers() -> None:
    lost = ProvisionJob.objects.filter(
        state=JobState.RUNNING, heartbeat_at__lt=Now() - HEARTBEAT_LOST_AFTER
    )
    with Upkeep(Kind.JOB) as upkeep:
        # Ids first: a row that can't even be read is one job's trouble.
        for job_id in list(lost.values_list("pk", flat=True)):
            upkeep.attempt(job_id, partial(_look_at_lost, job_id))


def _look_at_lost(job_id: str) -> None:
    job = ProvisionJob.objects.filter(pk=job_id).first()
    if job is not None:
        _take_from_lost_worker(job)


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
    with Upkeep(Kind.FOLLOWERS) as upkeep:
        for leader_id in sorted(set(orphaned.values_list("leader_id", flat=True))):
            upkeep.attempt(leader_id, partial(_free_followers, leader_id))


@transaction.atomic
def _free_followers(leader_id: str) -> None:
    leader = ProvisionJob.objects.get(pk=leader_id)
    promote_followers(leader, lock_crews_around([leader.crew_id]))


def sweep_host(engine: Engine, host: DockerHost) -> None:
    """No container, half-made layer or lease of a job that does not run any more is left.

    By names in our records only. What can't be removed is tried again later; raises
    EngineUnreachable when the engine is away.
    """
    _release_leases(host)
    _remove_containers(engine, host)
    _remove_drafts(engine, host)


def _release_leases(host: DockerHost) -> None:
    with Upkeep(Kind.LEASE, host) as upkeep:
        for lease in LayerLease.objects.filter(host=host):
            if not _runs(lease.job_id, lease.fence):
                upkeep.attempt(lease.key, lease.delete)


def _remove_containers(engine: Engine, host: DockerHost) -> None:
    with Upkeep(Kind.CONTAINER, host, engine) as upkeep:
        for row in ScratchContainer.objects.filter(host=host):
            if not _runs(row.job_id, row.fence):
                upkeep.attempt(row.name, partial(_remove_container, engine, row))


def _remove_container(engine: Engine, row: ScratchContainer) -> None:
    if engine.remove_container(row.name):
        log.warning("removed %s, left by %s", row.name, row.job_id)
    row.delete()


def _remove_drafts(engine: Engine, host: DockerHost) -> None:
    running = ProvisionJob.objects.filter(pk=OuterRef("job_id"), state=JobState.RUNNING)
    drafts = Layer.objects.filter(
        ~Exists(running), Q(image_id="") | Q(kind=LayerKind.FINAL), host=host
    )
    with Upkeep(Kind.DRAFT, host, engine) as upkeep:
        for draft in drafts:
            upkeep.attempt(draft.tag, partial(_remove_draft, engine, draft))


def _remove_draft(engine: Engine, draft: Layer) -> None:
    """A worker that died between tagging and recording left the crew's tag as well."""
    image = engine.image(draft.tag)
    engine.remove_image(draft.tag)
    job = ProvisionJob.objects.filter(pk=draft.job_id).first()
    if image is not None and job is not None and draft.kind == LayerKind.FINAL:
        retire_image(engine, draft.host, image.image_id, tag=cache_tag(job.config_hash))
    draft.delete()


def _runs(job_id: str, fence: int) -> bool:
    return ProvisionJob.objects.filter(pk=job_id, fence=fence, state=JobState.RUNNING).exists()
