"""The hub of event streams: shared reads, and what happens while Redis is away."""

from __future__ import annotations

import asyncio
import gc
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.http import StreamingHttpResponse

from crewship.web import news
from crewship.web.frames import CHUNK_BYTES, RETRY_MS, frame, joined, retry
from crewship.web.sse import Hub, News, event_stream
from crewship.web.stream_places import TooManyStreams, places


class Board:
    """A feed of many frames at once, and then nothing any more."""

    topic = "workspace:1"

    def __init__(self, frames: list[bytes]) -> None:
        self.frames = frames

    async def news(self, hub: Hub) -> News:
        return News(self.frames, over=True)


def stays() -> bool:
    return True


def board_stream(user: str, count: int = 1, size: int = 300) -> StreamingHttpResponse:
    return event_stream(Board([b"x" * size] * count), user=user, standing=stays)


def read(response: StreamingHttpResponse) -> list[bytes]:
    async def scenario() -> list[bytes]:
        chunks = aiter(response.streaming_content)  # type: ignore[arg-type]  # it is asynchronous
        return [chunk async for chunk in chunks]

    return asyncio.run(scenario())


def test_streams_that_woke_together_share_one_read() -> None:
    reads: list[int] = []

    def read() -> int:
        reads.append(1)
        return len(reads)

    async def scenario() -> list[int]:
        hub = Hub()
        first = await asyncio.gather(*(hub.shared("key", read, 0.01) for _ in range(200)))
        later = await hub.shared("key", read, 0.01)
        return [*first, later]

    assert asyncio.run(scenario()) == 200 * [1] + [2]


def test_a_stream_that_leaves_takes_no_read_from_the_others() -> None:
    async def scenario() -> str:
        hub = Hub()
        leaving = asyncio.create_task(hub.shared("key", lambda: "read", 0.05))
        staying = asyncio.create_task(hub.shared("key", lambda: "read", 0.05))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(scenario()) == "read"


def test_an_event_is_one_frame_whatever_is_in_it() -> None:
    data = {"text": "a\nb\r\n\ndata: x", "rest": "\ud800\u2028"}
    lines = frame("log", data, "1").decode().split("\n")
    assert lines[:2] == ["id: 1", "event: log"]
    assert json.loads(lines[2].removeprefix("data: "))["text"] == data["text"]
    assert lines[3:] == ["", ""]


# -- chunks
def test_frames_are_sent_together_up_to_a_bound() -> None:
    frames = [frame("crew", {"n": n}) for n in range(10_000)]
    chunks = list(joined(frames))
    assert b"".join(chunks) == b"".join(frames)
    assert max(map(len, chunks)) <= CHUNK_BYTES
    assert len(chunks) < 10


def test_a_frame_that_is_longer_than_a_chunk_is_not_cut() -> None:
    long = b"x" * (CHUNK_BYTES + 1)
    assert list(joined([b"a", long, b"b"])) == [b"a", long, b"b"]


def test_a_stream_sends_a_board_in_chunks() -> None:
    opening, *chunks = read(board_stream("chunks", 40_000))
    assert opening.startswith(b"retry: ")
    assert sum(map(len, chunks)) == 40_000 * 300
    assert len(chunks) < 200


def test_a_client_that_left_in_the_middle_of_a_board_is_noticed() -> None:
    """The server's own tasks get their turn between two chunks, also while nothing blocks."""
    response = board_stream("leaver", 40_000)
    sent: list[int] = []
    tasks: list[asyncio.Task[None]] = []

    async def send() -> None:
        async for chunk in response.streaming_content:  # type: ignore[union-attr]  # asynchronous
            sent.append(len(chunk))
            if len(sent) == 2:
                asyncio.get_running_loop().call_soon(tasks[0].cancel)

    async def scenario() -> None:
        task = asyncio.create_task(send())
        tasks.append(task)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert len(sent) <= 3


def test_browsers_are_told_different_times_to_come_back() -> None:
    told = {int(retry().decode().removeprefix("retry: ")) for _ in range(50)}
    assert len(told) > 10
    assert RETRY_MS[0] <= min(told) <= max(told) <= RETRY_MS[1]


# -- how many
@pytest.fixture
def limit(set_limits: Any) -> int:
    set_limits(streams_per_user=20)
    return 20


def test_of_80_that_come_at_once_exactly_the_limit_come_in(limit: int) -> None:
    together = Barrier(80)

    def ask(_: int) -> StreamingHttpResponse | None:
        together.wait(30)
        try:
            return board_stream("many")
        except TooManyStreams:
            return None

    with ThreadPoolExecutor(80) as pool:
        open_ones = [response for response in pool.map(ask, range(80)) if response is not None]
    assert len(open_ones) == limit


def test_others_have_their_own_places(limit: int) -> None:
    mine = [board_stream("mine") for _ in range(limit)]
    others = board_stream("other")
    assert len([*mine, others]) == limit + 1


@pytest.mark.django_db  # closing a response looks after the database's connections
@pytest.mark.parametrize("how", ["read to its end", "closed unread", "dropped unread"])
def test_a_place_is_free_again(how: str, limit: int) -> None:
    response = board_stream(how)
    assert places.open_for(how) == 1
    if how == "read to its end":
        read(response)
    elif how == "closed unread":
        response.close()
    else:
        del response
        gc.collect()
    assert places.open_for(how) == 0


@pytest.mark.django_db  # as above
def test_a_place_is_left_once(limit: int) -> None:
    first, second = board_stream("twice"), board_stream("twice")
    read(first)
    first.close()
    del first
    gc.collect()
    assert places.open_for("twice") == 1
    second.close()


def test_a_changed_standing_is_doubted_by_that_users_streams_only() -> None:
    async def scenario() -> list[tuple[bool, bool]]:
        hub = Hub()
        with hub.place("crew:1", 7) as his, hub.place("crew:1", 8) as hers:
            hub.hear(news.standing_topic(7))
            return [(knock.doubted, knock.is_set()) for knock in (his, hers)]

    assert asyncio.run(scenario()) == [(True, True), (False, False)]


def test_news_of_the_topic_raise_no_doubt() -> None:
    async def scenario() -> tuple[bool, bool]:
        hub = Hub()
        with hub.place("crew:1", 7) as knock:
            hub.hear("crew:1")
            return knock.doubted, knock.is_set()

    assert asyncio.run(scenario()) == (False, True)


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_is_away_is_asked_again_after_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[str] = []

    class Away:
        def publish(self, channel: str, topic: str) -> None:
            tries.append(topic)
            raise ConnectionError

    monkeypatch.setattr(news, "_redis", Away)
    monkeypatch.setattr(news, "_silent_until", 0.0)
    news.announce("crew:1")
    news.announce("crew:2")
    assert tries == ["crew:1"]
