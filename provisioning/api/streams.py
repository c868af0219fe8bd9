"""Live progress as server-sent events: one stream for a crew, one for a whole workspace.

They need an ASGI server. A client that cannot stream polls the status instead.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from crewship.crews.scope import CrewViewSet
from crewship.domain.errors import ConfigError
from crewship.domain.roles import Action
from crewship.web.frames import frame
from crewship.web.schema import WORKSPACE_PARAMETERS, problems
from crewship.web.sse import EventStreamRenderer, Hub, News, event_stream
from crewship.workspaces.standing import standing_of
from crewship.workspaces.views import WorkspaceViewSet
from provisioning.board import Board, Place, Portion, events_after, workspace_board
from provisioning.history import event_json
from provisioning.models import ProvisionJob
from provisioning.retention import check_log

BOARD_GATHER_S = 0.4  # a workspace with many builds changes all the time
_EVENT_ID = re.compile(r"(job_[A-Za-z0-9_-]{1,64}):([0-9]{1,9})")
_STREAM = {(200, "text/event-stream"): OpenApiTypes.STR}


class InvalidEventId(ConfigError):
    code = "invalid_event_id"
    hint = "Send the id of the last event as it came: a job's id, a colon, a number."


class CrewFeed:
    """The events of a crew's latest job, from a place on, until it ends."""

    def __init__(self, crew_id: str, place: Place) -> None:
        self.topic = f"crew:{crew_id}"
        self._crew_id = crew_id
        self._place = place
        self._following = False

    async def news(self, hub: Hub) -> News:
        place, following = self._place, self._following
        read = partial(_crew_news, self._crew_id, place, following=following)
        self._place, news = await hub.shared((self.topic, place, following), read)
        self._following = True
        return news


def _crew_news(crew_id: str, place: Place, *, following: bool) -> tuple[Place, News]:
    portion = events_after(crew_id, place, following=following)
    if portion is None:
        return place, News(over=True)
    frames = [*_event_frames(portion)]
    if portion.end is not None:
        frames.append(frame("end", portion.end))
    return portion.place, News(frames, more=portion.more, over=portion.end is not None)


def _event_frames(portion: Portion) -> list[bytes]:
    """Output lines have their colours and no other control character: it is how they are stored
    (``provisioning/pipeline/output.py``)."""
    return [
        frame(event.kind, event_json(event), f"{event.job_id}:{event.seq}")
        for event in portion.events
    ]


class WorkspaceFeed:
    """All crews at first, then each that changed; and hints that agents, images or health did."""

    def __init__(self, workspace_id: str) -> None:
        self.topic = f"workspace:{workspace_id}"
        self._read = partial(workspace_board, workspace_id)
        self._shown: Board | None = None

    async def news(self, hub: Hub) -> News:
        now = await hub.shared(self.topic, self._read, BOARD_GATHER_S if self._shown else 0.0)
        before, self._shown = self._shown, now
        frames = [
            frame("crew", row)
            for crew_id, row in now.crews.items()
            if before is None or before.crews.get(crew_id) != row
        ]
        if before is not None:
            frames += _hints(before, now)
        return News(frames)


def _hints(before: Board, now: Board) -> list[bytes]:
    frames = [frame("gone", {"crew_id": crew}) for crew in before.crews.keys() - now.crews.keys()]
    frames += [
        frame("agents", {"crew_id": crew})
        for crew in now.crews
        if before.agents.get(crew) != now.agents.get(crew)
    ]
    if before.images != now.images:
        frames.append(frame("images", {}))
    if before.provisioning != now.provisioning:
        frames.append(frame("health", {"provisioning": now.provisioning}))
    return frames


class _Streams:
    """What both kinds of stream have in common."""

    renderer_classes: Any = [JSONRenderer, EventStreamRenderer]


@extend_schema(tags=["provisioning"], parameters=WORKSPACE_PARAMETERS)
class CrewStreamViewSet(_Streams, CrewViewSet):
    actions = {"events": Action.READ}

    @extend_schema(
        operation_id="crews_provision_events",
        parameters=[
            OpenApiParameter(
                "Last-Event-ID",
                str,
                OpenApiParameter.HEADER,
                description="Go on after this event (`job_…:17`); browsers send it by themselves.",
            ),
            OpenApiParameter("after", str, description="The same, for a first connect."),
        ],
        responses={**_STREAM, **problems(400, 404, 410)},
    )
    def events(self, request: Request, crew_id: str) -> StreamingHttpResponse:
        """Server-sent events of the crew's latest job, oldest first, as it goes on.

        Each has the id `<job id>:<seq>`, its kind as `event`, and as `data` the JSON object
        `{job_id, seq, kind, step, at, data}`. When the job has ended (or there is none) comes
        `event: end` with `{status, job_id, state, cached_image, error}`, and the stream closes:
        close yours too, or it is opened again. If a newer job began meanwhile, it goes on with
        that one instead. Output beyond the bound of a log is not kept: `event: log_gap` with
        `{lines, bytes}` in `data` stands once where it was, for all of it. Lines in `data.lines`
        of `log.output` keep colours (SGR sequences) and no other control character. A comment
        comes every 15 s, so that no proxy gives up. To go on in a job whose log was removed
        because of its age is a 410.
        """
        place = _place(request)
        _check_place(self.crew.pk, place)
        feed = CrewFeed(self.crew.pk, place)
        standing = standing_of(request, self.scope, Action.READ)
        return event_stream(feed, user=self.scope.user.pk, standing=standing)


@extend_schema(tags=["workspaces"], parameters=WORKSPACE_PARAMETERS)
class WorkspaceStreamViewSet(_Streams, WorkspaceViewSet):
    actions = {"events": Action.READ}

    @extend_schema(operation_id="workspace_events", responses={**_STREAM, **problems(400, 404)})
    def events(self, request: Request) -> StreamingHttpResponse:
        """Server-sent events of the workspace, without end and without ids.

        `event: crew` with `{crew_id, slug, name, status, job_id, step, total, message,
        cached_image, queue_position, agents_pending_restart, updated}` comes for every crew at
        first, then for each that changed; `gone` with `{crew_id}` when one was deleted; `agents`
        with `{crew_id}` and `images` with `{}` when it is worth reading those again; `health` with
        `{provisioning}` when no job can run any more, or jobs run again.
        """
        _place(request)  # goes nowhere here; what can't be an event's id is refused alike
        feed = WorkspaceFeed(self.scope.workspace.pk)
        standing = standing_of(request, self.scope, Action.READ)
        return event_stream(feed, user=self.scope.user.pk, standing=standing)


def _check_place(crew_id: str, place: Place) -> None:
    """Raises LogPruned."""
    if place.job_id:
        job = ProvisionJob.objects.filter(crew_id=crew_id, pk=place.job_id).first()
        if job is not None:
            check_log(job)


def _place(request: Request) -> Place:
    """The header of a reconnect wins. Raises InvalidEventId."""
    given = request.headers.get("Last-Event-ID") or request.query_params.get("after")
    if not given:
        return Place()
    match = _EVENT_ID.fullmatch(given)
    if match is None:
        raise InvalidEventId(f"{given[:80]!r} is not the id of an event.")
    return Place(match[1], int(match[2]))
