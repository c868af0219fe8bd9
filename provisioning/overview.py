"""A workspace's crews at a glance: rows with their live state, and what is building or broken.

The number of queries does not depend on the number of crews.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from cache.models import CachedImage
from crewship.crews.models import Agent, Crew
from crewship.workspaces.models import Workspace
from provisioning.claim import waiting_texts
from provisioning.models import ProvisionJob
from provisioning.pipeline.execute import LABELS
from provisioning.selectors import ShortStatus, short_statuses
from provisioning.states import ACTIVE, JobState, ProvisionStatus

RECENT: Final = timedelta(minutes=3)  # how long the badge tells of a finished build


@dataclass(frozen=True, slots=True)
class CrewRow:
    """One crew now. ``job`` is its latest if that counts for the config that the crew has."""

    crew: Crew
    status: ProvisionStatus
    job: ProvisionJob | None
    image: CachedImage | None
    place: int | None  # in the workspace's line; 1 is next
    waits: str  # why its job is not taken up now; "" when nothing but the line is in the way
    agents: int
    agents_to_restart: int

    @property
    def step(self) -> int:
        if self.job is None:
            return 0
        return len(LABELS) if self.job.state == JobState.COMPLETED else self.job.step

    @property
    def message(self) -> str:
        """What its job does now, or why it waits."""
        return self.waits or (self.job.message if self.job else "")

    @property
    def total(self) -> int:
        return len(LABELS)

    @property
    def built_at(self) -> datetime | None:
        return self.image.created_at if self.image else None

    @property
    def can_be_built(self) -> bool:
        return self.crew.config_hash is not None

    @property
    def signature(self) -> str:
        """Changes whenever a watcher should see something else."""
        place = self.place or ""
        return f"{self.status} {self.step} {place} {self.agents_to_restart} {self.message}"


def crew_rows(crews: Sequence[Crew]) -> list[CrewRow]:
    """The rows in the order of the crews."""
    now = short_statuses(crews)
    live: dict[str, list[str]] = {}
    for crew_id, image_id in Agent.objects.filter(crew__in=crews).values_list(
        "crew_id", "live_image_id"
    ):
        live.setdefault(crew_id, []).append(image_id)
    places = places_in_line({crew.workspace_id for crew in crews})
    waits = waiting_texts([one.job for one in now.values() if one.job])
    return [_row(crew, now[crew.pk], live.get(crew.pk, []), places, waits) for crew in crews]


def _row(
    crew: Crew,
    now: ShortStatus,
    live: Sequence[str],
    places: Mapping[str, int],
    waits: Mapping[str, str],
) -> CrewRow:
    running = Counter(image_id for image_id in live if image_id)
    return CrewRow(
        crew=crew,
        status=now.status,
        job=now.job,
        image=now.image,
        place=places.get(now.job.pk) if now.job else None,
        waits=waits.get(now.job.pk, "") if now.job else "",
        agents=len(live),
        agents_to_restart=running.total() - (running[now.image.image_id] if now.image else 0),
    )


def places_in_line(workspace_ids: set[str]) -> Mapping[str, int]:
    """By job id, 1 for the one that a worker takes up first when it is its workspace's turn. Jobs
    that wait for another's image stand in no line."""
    waiting = ProvisionJob.objects.filter(
        workspace_id__in=workspace_ids, state=JobState.PENDING, leader=None
    )
    places: dict[str, int] = {}
    in_line: Counter[str] = Counter()
    for workspace_id, job_id in waiting.order_by("created_at", "id").values_list(
        "workspace_id", "pk"
    ):
        in_line[workspace_id] += 1
        places[job_id] = in_line[workspace_id]
    return places


@dataclass(frozen=True, slots=True)
class Badge:
    """What the header says, and how loudly."""

    text: str = ""
    tone: str = ""  # "bad" | "run" | "warn" | "ok"
    show: str = ""  # the overview's filter that lists what is meant


def workspace_badge(workspace: Workspace) -> Badge:
    """The most urgent thing of the workspace: broken, building, to restart, just built."""
    crews = Crew.objects.filter(workspace=workspace)
    failed = crews.filter(failed_condition()).count()
    building = crews.filter(active_condition()).count()
    if failed:
        also = f", {building} building" if building else ""
        return Badge(f"{failed} failed{also}", "bad", "failed")
    if building:
        return Badge(f"Building {building}", "run", "building")
    restart = crews.filter(restart_condition()).count()
    if restart:
        return Badge(f"{restart} to restart", "warn", "restart")
    recent = ProvisionJob.objects.filter(
        workspace=workspace,
        state=JobState.COMPLETED,
        finished_at__gt=timezone.now() - RECENT,
        config_hash=F("crew__config_hash"),
    )
    built = recent.order_by().values("crew_id").distinct().count()
    return Badge(f"Built {built}", "ok", "") if built else Badge()


def active_condition() -> Exists:
    return Exists(ProvisionJob.objects.filter(crew=OuterRef("pk"), state__in=ACTIVE))


def failed_condition() -> Exists:
    """The crew's latest job failed, for the config that it has."""
    newer = ProvisionJob.objects.filter(crew=OuterRef("crew"), pk__gt=OuterRef("pk"))
    failed = ProvisionJob.objects.filter(
        ~Exists(newer),
        crew=OuterRef("pk"),
        state=JobState.FAILED,
        config_hash=OuterRef("config_hash"),
    )
    return Exists(failed)


def restart_condition() -> Exists:
    """A live agent runs another image than the crew's current one."""
    current = CachedImage.objects.filter(
        tag=OuterRef("crew__cached_image"),
        config_hash=OuterRef("crew__config_hash"),
        image_id=OuterRef("live_image_id"),
    )
    stale = Agent.objects.filter(~Exists(current), crew=OuterRef("pk")).exclude(live_image_id="")
    return Exists(stale)


SHOWN: Final = ("building", "failed", "restart", "unbuilt")


def find_crews(workspace: Workspace, show: str = "", search: str = "") -> QuerySet[Crew]:
    """The workspace's crews by name; ``show`` is one of SHOWN or everything."""
    crews = Crew.objects.filter(workspace=workspace).select_related("workspace")
    if search:
        crews = crews.filter(Q(name__icontains=search) | Q(slug__icontains=search))
    if show == "building":
        crews = crews.filter(active_condition())
    elif show == "failed":
        crews = crews.filter(failed_condition())
    elif show == "restart":
        crews = crews.filter(restart_condition())
    elif show == "unbuilt":
        crews = crews.filter(~active_condition(), cached_image=None)
    return crews.order_by("name", "id")
