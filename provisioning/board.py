"""What event streams show: a crew's job events from a place on, and a workspace at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cache.selectors import present_images
from crewship.crews.models import Agent, Crew
from provisioning.concerns import can_provision
from provisioning.history import events_from
from provisioning.models import JobEvent, ProvisionJob
from provisioning.overview import CrewRow, crew_rows
from provisioning.selectors import BULKY, provision_status
from provisioning.states import ACTIVE, JobState


@dataclass(frozen=True, slots=True)
class Place:
    """The last event that a stream has shown; no job: none yet."""

    job_id: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Portion:
    """The events that follow a place, and the place after them.

    ``end`` is there when nothing will follow: how it ended, or that there is no job.
    """

    place: Place
    events: Sequence[JobEvent] = ()
    more: bool = False
    end: Mapping[str, Any] | None = None  # Any: JSON


def events_after(crew_id: str, place: Place, *, following: bool) -> Portion | None:
    """What a stream of the crew shows after ``place``; None when the crew is gone.

    A stream that is ``following`` reads its job to the end and then goes on with a newer one, if
    there is. One that begins goes to the latest job at once: what was left of an older is skipped.
    """
    crew = Crew.objects.filter(pk=crew_id).first()
    if crew is None:
        return None
    # The states are read before the events: a state that ended has all its events there.
    jobs = ProvisionJob.objects.filter(crew_id=crew_id).order_by("-id").defer(*BULKY)
    latest = jobs.first()
    if latest is None:
        return Portion(place, end=_end(crew, None))
    if place.job_id != latest.pk:
        if following and place.job_id and (rest := _portion(place)).events:
            return rest
        place = Place(latest.pk)
    portion = _portion(place)
    if portion.more or latest.state in ACTIVE:
        return portion
    return Portion(portion.place, portion.events, end=_end(crew, latest))


def _portion(place: Place) -> Portion:
    events, more = events_from(place.job_id, place.seq)
    seq = events[-1].seq if events else place.seq
    return Portion(Place(place.job_id, seq), events, more=more)


def _end(crew: Crew, job: ProvisionJob | None) -> dict[str, Any]:  # Any: JSON
    now = provision_status(crew)
    error = None
    if job is not None and job.state == JobState.FAILED:
        error = {"code": job.error_code, "message": job.error, "hint": job.error_hint}
    return {
        "status": now.status.value,
        "job_id": job.pk if job else None,
        "state": job.state if job else None,
        "cached_image": now.cached_image,
        "error": error,
    }


@dataclass(frozen=True, slots=True)
class Board:
    """A workspace now. ``agents`` and ``images`` only serve to see that something changed.

    ``provisioning``: whether a job that is asked for now would run.
    """

    crews: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by id; Any: JSON
    agents: Mapping[str, object] = field(default_factory=dict)  # by crew id
    images: object = None
    provisioning: bool = True


def workspace_board(workspace_id: str) -> Board:
    """Every crew with its status, in a handful of queries whatever their number."""
    texts = ("devcontainer_config", "mise_config", "lock_config")
    crews = Crew.objects.filter(workspace_id=workspace_id).defer(*texts).order_by("id")
    agents: dict[str, list[object]] = {}
    for agent in Agent.objects.filter(crew__workspace_id=workspace_id).order_by("id"):
        seen = (agent.pk, agent.name, agent.status, agent.live_image_id, agent.restarts)
        agents.setdefault(agent.crew_id, []).append(seen)
    return Board(
        crews={row.crew.pk: _as_json(row) for row in crew_rows(list(crews))},
        agents=agents,
        images=set(present_images().values_list("tag", "image_id")),
        provisioning=can_provision(),
    )


def _as_json(row: CrewRow) -> dict[str, Any]:  # Any: JSON
    return {
        "crew_id": row.crew.pk,
        "slug": row.crew.slug,
        "name": row.crew.name,
        "status": row.status.value,
        "job_id": row.job.pk if row.job else None,
        "step": row.step if row.job else None,
        "total": row.total if row.job else None,
        "message": row.message if row.job else None,
        "cached_image": row.image.tag if row.image else None,
        "queue_position": row.place,
        "agents_pending_restart": row.agents_to_restart,
        "updated": row.crew.updated_at,
    }
