"""The hub of event streams: shared reads, and what happens while Redis is away."""

from __future__ import annotations

import asyncio
import json

import pytest

from crewship.web import news
from crewship.web.sse import Hub, frame


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
