"""GET …/logs?follow=1: an agent's log while it is written, as plain text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from crewship.crews.models import Agent, AgentLogChunk
from crewship.web import sse
from crewship.web.sse import current_hub
from crewship.workspaces.models import ApiToken, Membership
from tests.cast import Cast
from tests.streams import Stream, open_stream, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def agent(cast: Cast) -> Agent:
    agent = Agent.objects.create(crew=cast.crew, name="writer", command="date")
    say(agent, 1, "old", "last")
    return agent


def say(agent: Agent, seq: int, *lines: str) -> None:
    AgentLogChunk.objects.create(agent=agent, seq=seq, lines=list(lines), at=timezone.now())


async def opened(cast: Cast, agent: Agent, query: str = "tail=1&follow=1") -> Stream:
    path = f"/crews/{agent.crew_id}/agents/{agent.pk}/logs?{query}"
    stream: Stream = await open_stream(cast.bob.secret, path, accept="*/*")
    return stream


async def text(stream: Stream) -> str:
    """What comes next; "" when the stream has ended."""
    async with asyncio.timeout(5):
        async for part in stream.response.streaming_content:
            if part:
                return str(part.decode())
    return ""


def test_it_goes_on_with_what_comes_until_the_agent_is_gone(
    cast: Cast, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "LOOK_ALONE_S", 0.1)

    async def scenario() -> list[str]:
        stream = await opened(cast, agent)
        assert stream.response["Content-Type"] == "text/plain; charset=utf-8"
        parts = [await text(stream)]
        await sync_to_async(say)(agent, 2, "new", "newer")
        parts.append(await text(stream))
        await sync_to_async(agent.delete)()
        return [*parts, await text(stream)]

    assert run(scenario) == ["last\n", "new\nnewer\n", ""]


def test_what_was_printed_at_once_comes_in_portions_and_whole(
    cast: Cast, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.agents.selectors.CHUNKS_AT_ONCE", 2)
    monkeypatch.setattr(sse, "LOOK_ALONE_S", 0.1)

    def burst() -> None:
        for seq in range(2, 7):
            say(agent, seq, f"line {seq}")

    async def scenario() -> list[str]:
        stream = await opened(cast, agent, "tail=0&follow=1")
        await asyncio.sleep(0)
        waiting = asyncio.create_task(text(stream))
        await asyncio.sleep(0.3)  # it has seen the end of what there was
        await sync_to_async(burst)()
        return [await waiting, await text(stream), await text(stream)]

    assert "".join(run(scenario)) == "".join(f"line {seq}\n" for seq in range(2, 7))


def test_silence_adds_nothing_to_the_text(
    cast: Cast, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEPALIVE_S", 0.05)
    monkeypatch.setattr(sse, "LOOK_ALONE_S", 0.05)

    async def scenario() -> bytes:
        stream = await opened(cast, agent)
        await text(stream)
        rest = asyncio.create_task(text(stream))
        await asyncio.sleep(0.3)
        current_hub().stop()
        return (await rest).encode()

    assert run(scenario) == b""


def lose_membership(cast: Cast) -> None:
    Membership.objects.filter(user=cast.bob.user).delete()


def become_viewer(cast: Cast) -> None:
    Membership.objects.filter(user=cast.bob.user).update(role="VIEWER")


def lose_token(cast: Cast) -> None:
    ApiToken.objects.filter(user=cast.bob.user).update(revoked_at=timezone.now())


@pytest.mark.parametrize("lose", [lose_membership, become_viewer, lose_token])
def test_it_ends_when_the_right_to_is_lost(
    lose: Callable[[Cast], None], cast: Cast, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "RECHECK_S", 0.1)

    async def scenario() -> Any:
        stream = await opened(cast, agent)
        await text(stream)
        await sync_to_async(lose)(cast)
        return await text(stream)

    assert run(scenario) == ""


def test_a_viewer_gets_none(cast: Cast, agent: Agent) -> None:
    path = f"/crews/{agent.crew_id}/agents/{agent.pk}/logs?follow=1"

    async def scenario() -> Any:
        return await open_stream(cast.vera.secret, path, accept="*/*")

    assert run(scenario).status_code == 403
