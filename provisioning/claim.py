"""Which job runs next: workspaces take turns, none runs more than its limit, and none holds all
workers of a host that others use too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from cache.hosts import is_alive
from cache.models import DockerHost
from crewship.workspaces.limits import lock_workspace
from crewship.workspaces.models import Workspace
from provisioning.models import ProvisionJob
from provisioning.states import ACTIVE, JobState
from provisioning.transitions import StaleJobState, advance
from provisioning.worker_processes import live_workers

SHARED_FOR = timedelta(hours=24)  # how long after its last job a workspace counts as using a host


class Waiting(StrEnum):
    """Why a pending job is not taken up now, in the words that its people read."""

    HOST = "waiting: the Docker host does not answer"
    WORKERS = "waiting: no worker is running"
    SHARE = "waiting: its workspace already runs on all workers but one"
    LIMIT = "waiting: its workspace runs as many jobs as it may"


@dataclass(frozen=True, slots=True)
class HostLoad:
    """A host at a moment: what decides which workspaces may start another job on it."""

    is_alive: bool
    workers: int  # that live
    is_shared: bool  # two or more workspaces had jobs here within SHARED_FOR
    here: Mapping[str, int]  # running jobs by workspace, on this host
    everywhere: Mapping[str, int]  # and on all hosts: what the workspace's own limit counts

    @classmethod
    def of(cls, host: DockerHost) -> HostLoad:
        """In five queries, however many jobs and workspaces there are."""
        here: dict[str, int] = {}
        everywhere: dict[str, int] = {}
        running = ProvisionJob.objects.filter(state=JobState.RUNNING).order_by()
        rows = running.values_list("workspace_id", "host_id").annotate(Count("id"))
        for workspace_id, host_id, count in rows:
            everywhere[workspace_id] = everywhere.get(workspace_id, 0) + count
            if host_id == host.pk:
                here[workspace_id] = count
        return cls(
            is_alive=is_alive(host.pk),
            workers=len(live_workers(host.name)),
            is_shared=_is_shared(host.pk),
            here=here,
            everywhere=everywhere,
        )

    def obstacle(self, workspace: Workspace) -> Waiting | None:
        """What keeps the workspace from starting another job on the host; None when it may."""
        if not self.is_alive:
            return Waiting.HOST
        limit = workspace.running_limit or settings.CREWSHIP.limits.running_per_workspace
        if self.everywhere.get(workspace.pk, 0) >= limit:
            return Waiting.LIMIT
        # One worker stays for whoever of the others comes next, even if nobody waits now: a
        # build may take hours, and nothing that runs is ever interrupted.
        is_alone = self.workers < 2 or not self.is_shared
        if not is_alone and self.here.get(workspace.pk, 0) >= self.workers - 1:
            return Waiting.SHARE
        return None


def claim_next(host_id: str, worker: str) -> ProvisionJob | None:
    """The job whose turn it is now runs under this worker's name and a new fence; None if there
    is none that may run, as while the host is lost."""
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


def waiting_texts(jobs: Iterable[ProvisionJob]) -> Mapping[str, str]:
    """Why each of these jobs waits, by job id: of pending ones that something keeps from being
    taken up even if a worker is free. The number of queries does not depend on theirs."""
    pending = [job for job in jobs if job.state == JobState.PENDING and job.leader_id is None]
    if not pending:
        return {}
    hosts = DockerHost.objects.in_bulk({job.host_id for job in pending})
    workspaces = Workspace.objects.in_bulk({job.workspace_id for job in pending})
    loads = {host_id: HostLoad.of(host) for host_id, host in hosts.items()}
    texts: dict[str, str] = {}
    for job in pending:
        load = loads[job.host_id]
        obstacle = load.obstacle(workspaces[job.workspace_id])
        if obstacle is None and not load.workers:
            obstacle = Waiting.WORKERS
        if obstacle is not None:
            texts[job.pk] = str(obstacle)
    return texts


@transaction.atomic
def _claim(job: ProvisionJob, worker: str) -> ProvisionJob:
    # Two workers that see room for one must not both use it: the workspace's row is the turnstile.
    workspace = job.workspace
    lock_workspace(workspace)
    workspace.refresh_from_db()
    if HostLoad.of(job.host).obstacle(workspace) is not None:
        raise StaleJobState("The workspace may not start another job now.")
    _lead(job)
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
    pending = _claimable(host_id)
    candidates = list(Workspace.objects.filter(pk__in=pending.values("workspace_id")))
    host = DockerHost.objects.filter(pk=host_id).first() if candidates else None
    if host is None:
        return None
    load = HostLoad.of(host)
    waiting = [workspace for workspace in candidates if load.obstacle(workspace) is None]
    if not waiting:
        return None
    turn = min(
        waiting,
        key=lambda w: (
            load.everywhere.get(w.pk, 0),
            w.last_turn_at.timestamp() if w.last_turn_at else 0.0,
            w.pk,
        ),
    )
    jobs = pending.filter(workspace=turn).select_related("host")
    return jobs.order_by("created_at", "id").first()


def _claimable(host_id: str) -> QuerySet[ProvisionJob]:
    """Pending jobs that wait for none of their own workspace. One that follows a job of another
    workspace must not wait in that one's line: when its workspace's turn comes first, it leads."""
    others_line = Q(leader__state=JobState.PENDING) & ~Q(leader__workspace=F("workspace"))
    pending = ProvisionJob.objects.filter(host_id=host_id, state=JobState.PENDING)
    return pending.filter(Q(leader=None) | others_line)


def _lead(job: ProvisionJob) -> None:
    """The job leads those that it waited with, within the caller's transaction.

    A rebuild stays as it is and builds afresh by itself. Raises StaleJobState when somebody was
    quicker. Rows are locked from leader to follower, as where a job ends; their events may be
    written meanwhile.
    """
    rows = ProvisionJob.objects.select_for_update(no_key=True)
    if job.leader_id is not None:
        leader = rows.filter(pk=job.leader_id, state=JobState.PENDING, leader=None).first()
        if leader is None:
            raise StaleJobState("The job that this one follows does not wait any more.")
        if not leader.rebuild:
            followers = ProvisionJob.objects.filter(leader=leader, state=JobState.PENDING)
            followers.exclude(pk=job.pk).update(leader=job)
            ProvisionJob.objects.filter(pk=leader.pk).update(leader=job)
        ProvisionJob.objects.filter(pk=job.pk, leader=leader).update(leader=None)
    if rows.filter(pk=job.pk, state=JobState.PENDING, leader=None).first() is None:
        raise StaleJobState("The job follows another one now.")


def _is_shared(host_id: str) -> bool:
    jobs = ProvisionJob.objects.filter(
        Q(created_at__gt=Now() - SHARED_FOR) | Q(state__in=ACTIVE),
        workspace=OuterRef("pk"),
        host_id=host_id,
    )
    used = Workspace.objects.filter(Exists(jobs)).order_by()
    return len(used.values_list("pk")[:2]) == 2
