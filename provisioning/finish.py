"""How a job ends: the image is recorded, the crew linked, followers served."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from django.db import transaction
from django.utils import timezone

from cache.models import CachedImage
from cache.selectors import find_hit
from cache.services import record_image, touch_image
from crewship.crews.models import Agent, Crew
from crewship.crews.services import lock_crews
from crewship.domain.errors import CrewshipError
from provisioning.agents.wishes import wish_started
from provisioning.faults import FaultPoint, fault_point
from provisioning.models import ProvisionJob
from provisioning.pipeline.context import BuiltImage
from provisioning.pipeline.output import clean_text
from provisioning.queue import knock
from provisioning.states import EventKind, JobState
from provisioning.transitions import StaleJobState, advance, record


@transaction.atomic
def complete(job: ProvisionJob, built: BuiltImage) -> str | None:
    """The job is completed with its image; the crew is linked if its config is still the job's,
    and after a refresh its agents are to be restarted.

    Returns the id of the image that the tag named before by our records, if it was another.
    Raises StaleJobState (and records nothing) when the job was taken away meanwhile.
    """
    old = CachedImage.objects.filter(host=job.host, tag=built.tag).first()
    locked = lock_crews_around([job.crew_id])
    advance(
        job,
        JobState.COMPLETED,
        guard=job.fence,
        data={"tag": built.tag, "image_id": built.image.image_id},
        image_id=built.image.image_id,
        resolved_features=list(built.resolved_features),
        message="the image is ready",
        finished_at=timezone.now(),
    )
    image = record_image(
        host=job.host,
        config_hash=job.config_hash,
        image=built.image,
        parent_image_id=built.parent_image_id,
        requirements=built.requirements,
        provenance=built.provenance,
        job_id=job.pk,
    )
    fault_point(FaultPoint.BEFORE_CREW_LINK)
    linked = _link(job, image)
    fault_point(FaultPoint.AFTER_CREW_LINK)
    if linked and job.refresh:
        meant = Agent.objects.filter(crew_id=job.crew_id, wants_running=True)
        wish_started(meant, job.host.name)
    # One that came since the crews were locked is served by the sweep, within seconds.
    for follower in job.followers.filter(state=JobState.PENDING, crew__in=locked):
        _complete_follower(follower, image)
    return old.image_id if old and old.image_id != image.image_id else None


def lock_crews_around(crew_ids: Iterable[str]) -> set[str]:
    """These crews, and those whose jobs wait for one of theirs, are nobody else's until the
    transaction ends: before any job is, since what ends a job links crews to its image. Returns
    the ids of those that exist."""
    ids = set(crew_ids)
    followers = ProvisionJob.objects.filter(leader__crew__in=ids, state=JobState.PENDING)
    return lock_crews({*ids, *followers.order_by().values_list("crew_id", flat=True)})


def _link(job: ProvisionJob, image: CachedImage) -> bool:
    """Whether the crew's marker is the image now: its config may have changed meanwhile."""
    crew = Crew.objects.filter(pk=job.crew_id, config_hash=job.config_hash)
    return bool(crew.update(cached_image=image.tag))


def _complete_follower(job: ProvisionJob, image: CachedImage) -> None:
    record(job.pk, [(EventKind.CACHE_HIT, 0, {"tag": image.tag, "image_id": image.image_id})])
    now = timezone.now()
    advance(
        job,
        JobState.COMPLETED,
        leader=None,
        cache_hit=True,
        image_id=image.image_id,
        resolved_features=image.provenance.get("features", []),
        message="built by another crew's job",
        started_at=now,
        finished_at=now,
    )
    _link(job, image)


@transaction.atomic
def fail(
    job: ProvisionJob,
    error: CrewshipError,
    *,
    guard: int | None = None,
    data: Mapping[str, Any] | None = None,  # Any: JSON
) -> None:
    """The job failed with the error's text, code and hint; jobs that followed it fail alike,
    since they are the same work. Raises StaleJobState when it was taken away meanwhile."""
    fields: dict[str, Any] = {  # Any: columns
        "error": clean_text(error.message),
        "error_code": error.error_code,
        "error_hint": error.error_hint,
        "message": "failed",
        "finished_at": timezone.now(),
    }
    about = {"code": error.error_code, **(data or {})}
    followers = list(job.followers.filter(state=JobState.PENDING))
    advance(job, JobState.FAILED, guard=guard, data=about, **fields)
    for follower in followers:
        with suppress(StaleJobState):  # cancelled in this moment
            advance(follower, JobState.FAILED, data=about, leader=None, **fields)


def promote_followers(job: ProvisionJob, locked: set[str]) -> None:
    """Followers of a job that ended without an image go on: the oldest leads, the rest follow it.

    Within the caller's transaction, which holds the crews ``locked`` (``lock_crews_around``); the
    sweep sees to followers of other crews. The new leader's knock goes out on commit.
    """
    followers = list(
        ProvisionJob.objects.select_for_update(no_key=True)
        .filter(leader=job, state=JobState.PENDING, crew__in=locked)
        .order_by("created_at", "id")
    )
    if not followers:
        return
    hit = find_hit(job.host_id, job.config_hash)
    if hit is not None:
        touch_image(hit)
        for follower in followers:
            _complete_follower(follower, hit)
        return
    first, *rest = followers
    ProvisionJob.objects.filter(pk=first.pk).update(leader=None)
    ProvisionJob.objects.filter(pk__in=[f.pk for f in rest]).update(leader=first)
    transaction.on_commit(lambda: knock(first.pk))
