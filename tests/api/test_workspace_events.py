"""GET /events: a workspace's crews as server-sent events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from cache.models import CachedImage, DockerHost
from crewship.crews.models import Agent
from crewship.crews.services import update_crew
from crewship.web.news import HEALTH, announce
from provisioning.deletion import delete_crew
from provisioning.states import JobState
from provisioning.transitions import advance, record
from provisioning.worker_processes import beat
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker
from tests.streams import Frame, open_stream, run

pytestmark = pytest.mark.django_db(transaction=True)


def first_frames(cast: Cast, count: int) -> list[Frame]:
    return frames_after(cast, count, lambda: None, 0)


def frames_after(cast: Cast, skip: int, change: Callable[[], Any], count: int) -> list[Frame]:
    """What Vera sees: the ``skip`` frames at connect, and ``count`` after the change."""

    async def scenario() -> list[Any]:
        stream = await open_stream(cast.vera.secret, "/events")
        seen = [await stream.next() for _ in range(skip)]
        await sync_to_async(change)()
        after = [await stream.next() for _ in range(count)]
        await stream.close()
        return after if count else seen

    frames: list[Frame] = run(scenario)
    return frames


def test_every_crew_comes_at_first(cast: Cast, cached: CachedImage) -> None:
    make_crew(cast.workspace, "second", None)
    backend, second = first_frames(cast, 2)
    updated = backend["data"].pop("updated")
    assert updated.endswith("Z")
    assert backend == {
        "event": "crew",
        "data": {
            "crew_id": cast.crew.pk,
            "slug": "backend",
            "name": "Backend",
            "status": "completed",
            "job_id": None,
            "step": None,
            "total": None,
            "message": None,
            "cached_image": cached.tag,
            "queue_position": None,
            "agents_pending_restart": 0,
        },
    }
    assert (second["data"]["slug"], second["data"]["status"]) == ("second", "idle")


def test_other_workspaces_are_not_in_it(cast: Cast, make_job: JobMaker) -> None:
    def elsewhere() -> None:
        make_job(cast.strange_crew)
        update_crew(cast.crew, {"name": "Here"})

    (frame,) = frames_after(cast, 1, elsewhere, 1)
    assert (frame["data"]["crew_id"], frame["data"]["name"]) == (cast.crew.pk, "Here")


def test_a_jobs_way_is_seen(cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew)
    advance(job, JobState.RUNNING, fence=1)

    def goes_on() -> None:
        record(job.pk, [], guard=1, step=3, message="installing devcontainer features")

    (frame,) = frames_after(cast, 1, goes_on, 1)
    row = frame["data"]
    assert (row["status"], row["step"], row["total"]) == ("running", 3, 6)
    assert (row["job_id"], row["message"]) == (job.pk, "installing devcontainer features")


def test_waiting_jobs_have_a_place_in_the_queue(cast: Cast, make_job: JobMaker) -> None:
    make_job(cast.crew)
    make_job(cast.strange_crew)
    make_job(make_crew(cast.workspace, "second", {"image": "debian:sid"}))
    positions = [frame["data"]["queue_position"] for frame in first_frames(cast, 2)]
    assert positions == [1, 2]


def test_a_deleted_crew_is_gone(cast: Cast) -> None:
    frames = frames_after(cast, 1, lambda: delete_crew(cast.crew), 1)
    assert frames == [{"event": "gone", "data": {"crew_id": cast.crew.pk}}]


def test_a_changed_agent_is_hinted_at(cast: Cast, cached: CachedImage) -> None:
    def runs_something_else() -> None:
        Agent.objects.create(crew=cast.crew, name="one", live_image_id="sha256:other")

    row, hint = frames_after(cast, 1, runs_something_else, 2)
    assert row["data"]["agents_pending_restart"] == 1
    assert hint == {"event": "agents", "data": {"crew_id": cast.crew.pk}}


def test_an_image_that_vanished_is_hinted_at(cast: Cast, cached: CachedImage) -> None:
    row, hint = frames_after(cast, 1, lambda: cached.delete(), 2)
    assert (row["data"]["cached_image"], row["data"]["status"]) == (None, "idle")
    assert hint == {"event": "images", "data": {}}


def test_provisioning_that_stops_is_told(cast: Cast, host: DockerHost) -> None:
    beat("worker-1", host.name)

    def the_host_is_lost() -> None:
        DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))
        announce(HEALTH)

    (frame,) = frames_after(cast, 1, the_host_is_lost, 1)
    assert frame == {"event": "health", "data": {"provisioning": False}}


def test_what_cannot_be_an_events_id_is_refused_as_on_a_crews_stream(cast: Cast) -> None:
    async def scenario() -> Any:
        return await open_stream(cast.vera.secret, "/events", **{"Last-Event-ID": "nonsense"})

    answer = run(scenario)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_event_id")
