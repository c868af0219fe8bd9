"""GET /crews/{id}/provision/events: a crew's job as server-sent events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from crewship.web import sse
from crewship.web.sse import current_hub
from crewship.web.stream_places import places
from provisioning.models import ProvisionJob
from provisioning.states import EventKind, JobState
from provisioning.transitions import advance, record
from tests.cast import Cast
from tests.conftest import Api, Client, JobMaker
from tests.problem import problem
from tests.streams import Frame, Stream, open_stream, run

pytestmark = pytest.mark.django_db(transaction=True)


def log_lines(job: ProvisionJob, *lines: str) -> None:
    record(job.pk, [(EventKind.OUTPUT, 3, {"lines": [line]}) for line in lines])


def ended(job: ProvisionJob) -> ProvisionJob:
    return advance(job, JobState.COMPLETED, guard=job.fence)


def read(cast: Cast, query: str = "", **headers: str) -> list[Frame]:
    """Vera's whole stream of the cast's crew."""

    async def scenario() -> list[Frame]:
        stream = await open_stream(cast.vera.secret, path(cast) + query, **headers)
        rest: list[Frame] = await stream.rest()
        return rest

    frames: list[Frame] = run(scenario)
    return frames


def path(cast: Cast) -> str:
    return f"/crews/{cast.crew.pk}/provision/events"


def seqs(frames: list[Frame]) -> list[int]:
    return [frame["data"]["seq"] for frame in frames if "id" in frame]


def test_a_crew_without_a_job_ends_at_once(cast: Cast) -> None:
    assert read(cast) == [
        {
            "event": "end",
            "data": {
                "status": "idle",
                "job_id": None,
                "state": None,
                "cached_image": None,
                "error": None,
            },
        }
    ]


def test_it_is_an_event_stream_that_nobody_keeps(cast: Cast) -> None:
    async def scenario() -> Any:
        return (await open_stream(cast.vera.secret, path(cast))).response

    response = run(scenario)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/event-stream"
    assert (response["Cache-Control"], response["X-Accel-Buffering"]) == ("no-store", "no")


def test_an_ended_job_is_told_from_its_first_event(cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    log_lines(job, "one", "two")
    ended(job)
    first, _, last, end = read(cast)
    at = first["data"].pop("at")
    assert at.endswith("Z")
    assert first == {
        "id": f"{job.pk}:1",
        "event": "log.output",
        "data": {
            "job_id": job.pk,
            "seq": 1,
            "kind": "log.output",
            "step": 3,
            "data": {"lines": ["one"]},
        },
    }
    assert (last["event"], last["data"]["data"]) == ("job.state", {"state": "completed"})
    assert (end["event"], end["data"]["state"]) == ("end", "completed")


def test_more_events_than_one_portion_come_once_each(
    cast: Cast, make_job: JobMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.history.PORTION_EVENTS", 7)
    job = make_job(cast.crew, JobState.RUNNING)
    log_lines(job, *map(str, range(50)))
    ended(job)
    assert seqs(read(cast)) == list(range(1, 52))


def test_a_reconnect_goes_on_after_its_last_event(cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    log_lines(job, "one", "two", "three")
    ended(job)
    assert seqs(read(cast, **{"Last-Event-ID": f"{job.pk}:2"})) == [3, 4]
    assert seqs(read(cast, f"?after={job.pk}:3")) == [4]
    assert seqs(read(cast, f"?after={job.pk}:1", **{"Last-Event-ID": f"{job.pk}:3"})) == [4]


def test_what_was_left_of_an_older_job_is_skipped(cast: Cast, make_job: JobMaker) -> None:
    old = make_job(cast.crew, JobState.RUNNING)
    log_lines(old, "one", "two")
    ended(old)
    new = make_job(cast.crew, JobState.RUNNING)
    log_lines(new, "new")
    ended(new)
    frames = read(cast, **{"Last-Event-ID": f"{old.pk}:1"})
    assert [frame["id"] for frame in frames[:-1]] == [f"{new.pk}:1", f"{new.pk}:2"]


@pytest.mark.parametrize("given", ["17", "job_x", "job_x:", "job_x:-1", "crw_x:1", "job_x:1\x00"])
def test_an_id_that_we_never_sent_is_400(given: str, api: Api, cast: Cast) -> None:
    answer = api.vera.get(path(cast), {"after": given})
    problem(answer, 400, "invalid_event_id")


def test_a_live_job_is_followed_to_its_end(cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    log_lines(job, "before")

    async def scenario() -> tuple[list[Frame | None], list[Frame]]:
        stream = await open_stream(cast.vera.secret, path(cast))
        seen = [await stream.next()]
        await sync_to_async(log_lines)(job, "after")
        seen.append(await stream.next())
        await sync_to_async(ended)(job)
        return seen, await stream.rest()

    seen, rest = run(scenario)
    assert [frame["data"]["data"]["lines"] for frame in seen] == [["before"], ["after"]]
    assert [frame["event"] for frame in rest] == ["job.state", "end"]


def test_a_newer_job_follows_on_the_same_stream(cast: Cast, make_job: JobMaker) -> None:
    old = make_job(cast.crew, JobState.RUNNING)
    log_lines(old, "old")

    def superseded() -> None:
        log_lines(old, "last words")
        advance(old, JobState.CANCELLED)
        new = make_job(cast.crew, JobState.RUNNING)
        log_lines(new, "new")
        ended(new)

    async def scenario() -> list[Frame]:
        stream = await open_stream(cast.vera.secret, path(cast))
        assert await stream.next() is not None
        await sync_to_async(superseded)()
        rest: list[Frame] = await stream.rest()
        return rest

    frames = run(scenario)
    texts = [f["data"]["data"].get("lines", [f["data"]["data"].get("state")]) for f in frames[:-1]]
    assert texts == [["last words"], ["cancelled"], ["new"], ["completed"]]
    assert frames[-1]["event"] == "end"


def test_a_failed_job_ends_with_its_error(cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    advance(job, JobState.FAILED, error="No.", error_code="build_step_failed", error_hint="Mend it")
    end = read(cast)[-1]["data"]
    assert (end["status"], end["state"]) == ("failed", "failed")
    assert end["error"] == {"code": "build_step_failed", "message": "No.", "hint": "Mend it"}


def test_a_line_that_looks_like_a_frame_stays_a_line(cast: Cast, make_job: JobMaker) -> None:
    forged = "id: 9\nevent: end\ndata: {}\n\r\u2028"
    job = make_job(cast.crew, JobState.RUNNING)
    log_lines(job, forged, "event: end", "log.system: Feature python installed")
    ended(job)
    frames = read(cast)
    assert [frame["event"] for frame in frames] == 3 * ["log.output"] + ["job.state", "end"]
    assert frames[0]["data"]["data"]["lines"] == [forged]


def test_a_deleted_crew_ends_its_streams(cast: Cast, make_job: JobMaker) -> None:
    make_job(cast.crew, JobState.RUNNING)

    async def scenario() -> list[Frame]:
        stream = await open_stream(cast.vera.secret, path(cast))
        await sync_to_async(cast.crew.delete)()
        rest: list[Frame] = await stream.rest()
        return rest

    assert run(scenario) == []


@pytest.mark.parametrize("end", ["revoked", "expelled", "inactive"])
def test_who_may_no_more_is_cut_off(
    end: str, cast: Cast, make_job: JobMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "RECHECK_S", 0.2)
    make_job(cast.crew, JobState.RUNNING)

    def take_away() -> None:
        if end == "revoked":
            cast.vera.token.delete()
        elif end == "expelled":
            cast.vera.membership.delete()
        else:
            cast.vera.user.is_active = False
            cast.vera.user.save()

    async def scenario() -> list[Frame]:
        stream = await open_stream(cast.vera.secret, path(cast))
        await sync_to_async(take_away)()
        rest: list[Frame] = await stream.rest()
        return rest

    assert run(scenario) == []


def test_a_quiet_stream_is_kept_alive(
    cast: Cast, make_job: JobMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEPALIVE_S", 0.2)
    make_job(cast.crew, JobState.RUNNING)

    async def scenario() -> list[Frame | None]:
        stream = await open_stream(cast.vera.secret, path(cast))
        await stream.next()
        beats = [await stream.next(), await stream.next()]
        await stream.close()
        return beats

    assert run(scenario) == 2 * [{"comment": "keepalive"}]


def test_streams_end_when_the_server_stops(cast: Cast, make_job: JobMaker) -> None:
    make_job(cast.crew, JobState.RUNNING)

    async def scenario() -> Frame | None:
        stream = await open_stream(cast.vera.secret, path(cast))
        stream_ends = stream.next(within_s=1)
        current_hub().stop()
        last: Frame | None = await stream_ends
        return last

    assert run(scenario) is None


def test_a_user_has_so_many_streams_at_once(
    cast: Cast, make_job: JobMaker, set_limits: Any
) -> None:
    set_limits(streams_per_user=2)
    log_lines(make_job(cast.crew, JobState.RUNNING), "one")

    async def scenario() -> Any:
        streams: list[Stream] = []
        for _ in range(2):
            streams.append(await open_stream(cast.vera.secret, path(cast)))
        refused = await open_stream(cast.vera.secret, path(cast))
        others = await open_stream(cast.bob.secret, path(cast))
        await streams[0].close()
        async with asyncio.timeout(5):
            while places.open_for(cast.vera.user.pk) > 1:
                await asyncio.sleep(0.01)
        again = await open_stream(cast.vera.secret, path(cast))
        return refused, others, again

    refused, others, again = run(scenario)
    problem(refused, 429, "too_many_streams")
    assert refused["Retry-After"] == "5"
    assert isinstance(others, Stream)
    assert isinstance(again, Stream)


def test_refusals_are_problems_also_for_who_accepts_events_only(cast: Cast) -> None:
    async def scenario() -> Any:
        return await open_stream(cast.mallory.secret, path(cast))

    problem(run(scenario), 404, "crew_not_found")
    answer = Client("").get(path(cast), headers={"Accept": "text/event-stream"})
    problem(answer, 401, "not_authenticated")
