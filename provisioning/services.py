"""The verbs of provisioning: request, rebuild, cancel. Used by API, dashboard, admin and CLI."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from cache.hosts import healthy_host
from cache.models import CachedImage, DockerHost
from cache.selectors import find_hit
from cache.services import touch_image
from crewship.crews.models import Crew
from crewship.crews.services import crew_hash, crew_spec, lock_crew
from crewship.devcontainer.types import CrewSpec
from crewship.domain.errors import CapacityExceeded, ConfigError, ConfigInvalid, Conflict
from crewship.workspaces.audit import AuditAction, note
from crewship.workspaces.limits import lock_workspace
from crewship.workspaces.models import User, Workspace
from provisioning.finish import lock_crews_around, promote_followers
from provisioning.models import ProvisionJob, ProvisionStart
from provisioning.queue import knock
from provisioning.states import ACTIVE, EventKind, JobState
from provisioning.transitions import StaleJobState, advance, record

WINDOW = timedelta(seconds=60)


class NothingToProvision(ConfigError):
    code = "no_devcontainer_config"
    hint = "Give the crew a devcontainer_config (or a runtime_image, or a mise_config)."


class JobActive(Conflict):
    code = "job_active"
    hint = "Wait for the running job, or cancel it."


@dataclass(frozen=True, slots=True)
class Way:
    """How a job comes to its image: afresh or not, and what that leaves alone."""

    rebuild: bool
    refresh: bool

    @property
    def audit_action(self) -> AuditAction:
        if self.refresh:
            return AuditAction.REFRESH_STARTED
        return AuditAction.REBUILD_STARTED if self.rebuild else AuditAction.PROVISION_STARTED


def request_provision(
    *, crew: Crew, actor: User | None, rebuild: bool = False, refresh: bool = False
) -> ProvisionJob:
    """The crew has an active job, or is linked to an image that was there (a completed job).

    ``rebuild`` clears the crew's marker and builds afresh; ``refresh`` builds afresh too, but
    leaves the marker until the new image is there, and then has the crew's agents restarted.

    The order of checks is CONTRACT.md's: config, host, active job, rate; a refused request
    changes nothing. Raises ConfigError/ConfigInvalid, NoDockerHost/DockerHostLost, JobActive
    (with ``job_status``), CapacityExceeded.
    """
    spec = _checked_spec(crew)
    host = healthy_host()
    with transaction.atomic():
        # One request at a time for a workspace: counting starts and making one is one act.
        lock_workspace(crew.workspace)
        crew = lock_crew(crew)
        workspace = crew.workspace
        _refuse_if_active(crew)
        _refuse_above_rate(workspace)
        job = _start(crew, spec, host, actor, Way(rebuild or refresh, refresh))
        if job.state == JobState.PENDING and job.leader_id is None:
            transaction.on_commit(lambda: knock(job.pk))
    return job


def _checked_spec(crew: Crew) -> CrewSpec:
    try:
        spec = crew_spec(crew)
    except ConfigInvalid as err:
        refused = [p for p in err.problems if p.code == "publisher_not_allowed"]
        if refused:  # the code that clients branch on, with everything else still listed
            raise ConfigError(
                str(refused[0]), code="publisher_not_allowed", extra=err.extra
            ) from err
        raise
    if spec is None:
        raise NothingToProvision("The crew has no devcontainer_config.")
    return spec


def _refuse_if_active(crew: Crew) -> None:
    active = ProvisionJob.objects.filter(crew=crew, state__in=ACTIVE).first()
    if active is not None:
        raise JobActive(
            "A provisioning job is already in progress for this crew.",
            extra={"job_status": active.state, "job_id": active.pk},
        )


def _refuse_above_rate(workspace: Workspace) -> None:
    """Raises CapacityExceeded with the seconds until the oldest start leaves the window."""
    limit = workspace.starts_per_minute
    limit = settings.CREWSHIP.limits.starts_per_minute if limit is None else limit
    now = timezone.now()
    starts = ProvisionStart.objects.filter(workspace=workspace, at__gt=now - WINDOW)
    if starts.count() < limit:
        return
    times = list(starts.order_by("-at").values_list("at", flat=True)[: max(limit, 1)])
    freed = times[-1] + WINDOW - now if times else WINDOW
    wait = max(1, math.ceil(freed.total_seconds()))
    raise CapacityExceeded(
        f"This workspace may start {limit} provisions a minute.", retry_after_s=wait
    )


def _start(
    crew: Crew, spec: CrewSpec, host: DockerHost, actor: User | None, way: Way
) -> ProvisionJob:
    config_hash = crew_hash(crew, spec)
    hit = None if way.rebuild else find_hit(host.pk, config_hash)
    if crew.config_hash != config_hash:  # a newer generator, or a new default
        crew.config_hash, crew.cached_image = config_hash, None
    if way.rebuild and not way.refresh:
        crew.cached_image = None
    crew.save(update_fields=["config_hash", "cached_image"])
    ProvisionStart.objects.create(workspace_id=crew.workspace_id)
    job = ProvisionJob(
        workspace_id=crew.workspace_id,
        crew=crew,
        host=host,
        requested_by=actor,
        rebuild=way.rebuild,
        refresh=way.refresh,
        config_hash=config_hash,
        devcontainer_config=crew.devcontainer_config or "",
        mise_config=crew.mise_config,
        lock_config=crew.lock_config,
        runtime_image=crew.runtime_image,
        leader=None if way.rebuild or hit else _leader(host, config_hash),
    )
    try:
        with transaction.atomic():
            job.save(force_insert=True)
    except IntegrityError as err:  # another process won between our look and our insert
        raise JobActive(
            "A provisioning job is already in progress for this crew.",
            extra={"job_status": JobState.PENDING},
        ) from err
    record(job.pk, [(EventKind.STATE, 0, {"state": JobState.PENDING, "rebuild": way.rebuild})])
    note(way.audit_action, crew, workspace=crew.workspace, job_id=job.pk)
    return _complete_with_hit(job, hit) if hit else job


def _leader(host: DockerHost, config_hash: str) -> ProvisionJob | None:
    """The active job that builds this very hash now, for a new job to follow."""
    active = ProvisionJob.objects.select_for_update(no_key=True).filter(
        host=host, config_hash=config_hash, state__in=ACTIVE, leader=None
    )
    return active.order_by("created_at", "id").first()


def _complete_with_hit(job: ProvisionJob, hit: CachedImage) -> ProvisionJob:
    record(job.pk, [(EventKind.CACHE_HIT, 0, {"tag": hit.tag, "image_id": hit.image_id})])
    Crew.objects.filter(pk=job.crew_id).update(cached_image=hit.tag)
    touch_image(hit)
    now = timezone.now()
    return advance(
        job,
        JobState.COMPLETED,
        cache_hit=True,
        image_id=hit.image_id,
        resolved_features=hit.provenance.get("features", []),
        message="the image was there",
        started_at=now,
        finished_at=now,
    )


def cancel_provision(crew: Crew, *, message: str = "cancelled") -> ProvisionJob | None:
    """The crew has no active job any more; returns the job that was cancelled, None if none was.

    The job's worker sees it within a second and kills its container. Idempotent.
    """
    with transaction.atomic():
        locked = lock_crews_around([crew.pk])
        rows = ProvisionJob.objects.select_for_update(no_key=True)
        job = rows.filter(crew=crew, state__in=ACTIVE).first()
        if job is None:
            return None
        try:
            advance(job, JobState.CANCELLED, finished_at=timezone.now(), message=message)
        except StaleJobState:
            return None  # it ended in this moment
        promote_followers(job, locked)
        note(
            AuditAction.PROVISION_CANCELLED,
            crew,
            workspace=crew.workspace,
            job_id=job.pk,
            reason=message,
        )
    return job
