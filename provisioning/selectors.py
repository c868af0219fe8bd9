"""Reading jobs: the status of a crew as clients see it, logs, agents on stale images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, QuerySet

from cache.models import CachedImage
from cache.selectors import present_images
from crewship.crews.models import Agent, Crew
from crewship.domain.errors import NotFound
from provisioning.claim import waiting_texts
from provisioning.models import JobEvent, ProvisionJob
from provisioning.pipeline.execute import LABELS
from provisioning.pipeline.output import gap_line, plain
from provisioning.reading import walk
from provisioning.states import ACTIVE, LOG_KINDS, EventKind, JobState, ProvisionStatus

TAIL_LINES = 50
TAIL_LINE_LENGTH = 500
TAIL_ROWS = (
    12  # read at first: of a quiet log most of the tail, of a noisy one less than a megabyte
)
BULKY = ("devcontainer_config", "mise_config", "lock_config", "resolved_features")
OUTPUT_PREFIX = "| "


@dataclass(frozen=True, slots=True)
class JobView:
    """The part of a status that is there while a job runs, and after it for the same config."""

    step: int
    total: int
    message: str
    steps: tuple[str, ...]
    log_tail: list[str]
    started_at: datetime | None
    completed_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class StatusView:
    status: ProvisionStatus
    devcontainer_config: str | None
    cached_image: str | None
    config_hash: str | None
    agents_pending_restart: int
    job: JobView | None


def provision_status(crew: Crew) -> StatusView:
    """What GET /crews/{id}/provision says, from the database alone."""
    job = latest_job(crew)
    if job is not None and job.state == JobState.COMPLETED and not crew.cached_image:
        # It was completed after the crew was read; else a poll would see "idle" for a moment.
        crew.refresh_from_db(fields=["cached_image", "config_hash"])
    image = current_image(crew)
    return StatusView(
        status=_status(job, image),
        devcontainer_config=crew.devcontainer_config,
        cached_image=image.tag if image else None,
        config_hash=crew.config_hash,
        agents_pending_restart=agents_pending_restart(crew, image),
        job=_job_view(job) if job else None,
    )


def latest_job(crew: Crew) -> ProvisionJob | None:
    """The crew's newest job, if it is active or was for the config that the crew has now."""
    job = ProvisionJob.objects.filter(crew=crew).order_by("-id").first()
    if job is None or (job.state not in ACTIVE and job.config_hash != crew.config_hash):
        return None
    return job


def current_image(crew: Crew) -> CachedImage | None:
    """The image of the crew's marker, while the host really has it as we recorded it."""
    if not crew.cached_image:
        return None
    return present_images().filter(tag=crew.cached_image, config_hash=crew.config_hash).first()


def resolved_features(crew: Crew) -> list[dict[str, Any]]:  # Any: JSON
    """What the features of the crew's config are at this time: those of its image, else of the
    last job that built this very config. Raises NotFound when nothing was ever resolved for it."""
    image = current_image(crew)
    if image is not None and "features" in image.provenance:
        return list(image.provenance["features"])
    built = ProvisionJob.objects.filter(
        crew=crew, state=JobState.COMPLETED, config_hash=crew.config_hash
    )
    job = built.order_by("-id").first()
    if job is None:
        raise NotFound(
            "No feature of this crew's config was resolved yet.",
            code="nothing_resolved",
            hint="Provision the crew first.",
        )
    return list(job.resolved_features)


def agents_pending_restart(crew: Crew, image: CachedImage | None) -> int:
    """How many agents run now on another image than the crew's current one."""
    live = Agent.objects.filter(crew=crew).exclude(live_image_id="")
    if image is not None:
        live = live.exclude(live_image_id=image.image_id)
    return live.count()


def _status(job: ProvisionJob | None, image: CachedImage | None) -> ProvisionStatus:
    if job is not None and job.state in ACTIVE:
        return ProvisionStatus(job.state)
    if job is not None and job.state == JobState.FAILED:
        return ProvisionStatus.FAILED
    return ProvisionStatus.COMPLETED if image else ProvisionStatus.IDLE


def _job_view(job: ProvisionJob) -> JobView:
    ended = job.state in {JobState.COMPLETED, JobState.FAILED}
    return JobView(
        step=len(LABELS) if job.state == JobState.COMPLETED else job.step,
        total=len(LABELS),
        message=waiting_texts([job]).get(job.pk, job.message),
        steps=LABELS,
        log_tail=log_tail(job),
        started_at=job.started_at,
        completed_at=job.finished_at if ended else None,
        error=job.error if job.state == JobState.FAILED else None,
    )


def log_tail(job: ProvisionJob, limit: int = TAIL_LINES) -> list[str]:
    """At most ``limit`` lines of at most 500 characters, oldest first, without colours."""
    lines: list[str] = []
    events = JobEvent.objects.filter(job=job, kind__in=LOG_KINDS)
    for event in walk(events, newest_first=True, first=TAIL_ROWS):
        lines = event_lines(event)[-limit:] + lines
        if len(lines) >= limit:
            break
    return [plain(line)[:TAIL_LINE_LENGTH] for line in lines[-limit:]]


def event_lines(event: JobEvent) -> list[str]:
    """The event's log lines; output of scripts is told from ours by its prefix."""
    if event.kind == EventKind.OUTPUT:
        return [OUTPUT_PREFIX + line for line in event.data["lines"]]
    if event.kind == EventKind.LOG_GAP:
        return [gap_line(event.data)]
    return [event.data["text"]] if event.kind == EventKind.SYSTEM else []


def log_lines(job: ProvisionJob) -> Iterator[str]:
    """The whole log, without holding it in memory."""
    for event in walk(JobEvent.objects.filter(job=job, kind__in=LOG_KINDS)):
        yield from event_lines(event)


def jobs_of(crew: Crew) -> QuerySet[ProvisionJob]:
    return ProvisionJob.objects.filter(crew=crew).order_by("-id")


@dataclass(frozen=True, slots=True)
class ShortStatus:
    """A crew in a list. ``job`` is its latest if that counts for the config that it has now;
    the texts of jobs are not read."""

    status: ProvisionStatus
    job: ProvisionJob | None
    image: CachedImage | None

    @property
    def cached_image(self) -> str | None:
        return self.image.tag if self.image else None


def short_statuses(crews: Sequence[Crew]) -> Mapping[str, ShortStatus]:
    """Where each of many crews stands, by crew id, in two queries."""
    newest = ProvisionJob.objects.filter(crew__in=crews).order_by()
    latest = newest.values("crew_id").annotate(latest=Max("id")).values("latest")
    jobs = {job.crew_id: job for job in ProvisionJob.objects.filter(pk__in=latest).defer(*BULKY)}
    tags = {crew.cached_image for crew in crews if crew.cached_image}
    images = {(i.tag, i.config_hash): i for i in present_images().filter(tag__in=tags)}
    out = {}
    for crew in crews:
        job = jobs.get(crew.pk)
        if job and job.state not in ACTIVE and job.config_hash != crew.config_hash:
            job = None
        image = images.get((crew.cached_image or "", crew.config_hash or ""))
        out[crew.pk] = ShortStatus(_status(job, image), job, image)
    return out
