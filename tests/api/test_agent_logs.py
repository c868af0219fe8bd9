"""What an agent printed: the last lines, and those that come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import Client as Browser
from django.utils import timezone

from crewship.crews.models import Agent, AgentLogChunk
from crewship.web import follow as web_follow
from crewship.workspaces.models import ApiToken, Membership
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem


@pytest.fixture
def agent(cast: Cast) -> Agent:
    agent = Agent.objects.create(crew=cast.crew, name="writer", command="date")
    for seq in range(1, 4):
        say(agent, seq, f"{seq}a", f"{seq}b")
    return agent


@pytest.fixture
def path(agent: Agent) -> str:
    return f"/crews/{agent.crew_id}/agents/{agent.pk}/logs"


def say(agent: Agent, seq: int, *lines: str) -> None:
    AgentLogChunk.objects.create(agent=agent, seq=seq, lines=list(lines), at=timezone.now())


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content).decode()


def test_all_that_is_kept_oldest_first(api: Api, path: str):
    answer = api.bob.get(path)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert text(answer) == "1a\n1b\n2a\n2b\n3a\n3b\n"


@pytest.mark.parametrize(
    ("tail", "expected"),
    [(0, ""), (1, "3b\n"), (2, "3a\n3b\n"), (3, "2b\n3a\n3b\n"), (100, "1a\n1b\n2a\n2b\n3a\n3b\n")],
)
def test_the_last_lines(tail: int, expected: str, api: Api, path: str):
    assert text(api.bob.get(f"{path}?tail={tail}")) == expected


@pytest.mark.parametrize("query", ["tail=-1", "tail=10001", "tail=many", "follow=perhaps"])
def test_what_cannot_be_asked_is_400(query: str, api: Api, path: str):
    problem(api.bob.get(f"{path}?{query}"), 400, "invalid")


def test_colours_are_taken_out(api: Api, path: str, agent: Agent):
    say(agent, 4, "\x1b[31mred\x1b[0m")
    assert text(api.bob.get(f"{path}?tail=1")) == "red\n"


def test_an_agent_that_printed_nothing_has_an_empty_log(api: Api, cast: Cast):
    agent = Agent.objects.create(crew=cast.crew, name="silent", command="true")
    assert text(api.bob.get(f"/crews/{cast.crew.pk}/agents/{agent.pk}/logs")) == ""


def test_logs_are_not_for_viewers(api: Api, path: str):
    problem(api.vera.get(path), 403, "forbidden")
    problem(api.vera.get(f"{path}?follow=1"), 403, "forbidden")


def test_following_goes_on_with_what_comes_until_the_agent_is_gone(
    api: Api, path: str, agent: Agent, monkeypatch: pytest.MonkeyPatch
):
    happens: Iterator[Any] = iter([lambda: say(agent, 4, "new"), agent.delete])
    monkeypatch.setattr("crewship.web.follow.time.sleep", lambda _s: next(happens)())
    assert text(api.bob.get(f"{path}?tail=1&follow=1")) == "3b\nnew\n"


def lose_membership(cast: Cast) -> None:
    Membership.objects.filter(user=cast.bob.user).delete()


def become_viewer(cast: Cast) -> None:
    Membership.objects.filter(user=cast.bob.user).update(role="VIEWER")


def lose_token(cast: Cast) -> None:
    ApiToken.objects.filter(user=cast.bob.user).update(revoked_at=timezone.now())


def outlive_token(cast: Cast) -> None:
    ApiToken.objects.filter(user=cast.bob.user).update(expires_at=timezone.now())


def weaken_token(cast: Cast) -> None:
    ApiToken.objects.filter(user=cast.bob.user).update(role="VIEWER")


def be_deactivated(cast: Cast) -> None:
    cast.bob.user.is_active = False
    cast.bob.user.save()


@pytest.mark.parametrize(
    "lose",
    [lose_membership, become_viewer, lose_token, outlive_token, weaken_token, be_deactivated],
)
def test_following_ends_when_the_right_to_is_lost(
    lose: Any, api: Api, path: str, cast: Cast, agent: Agent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(web_follow, "CHECK_S", 0.0)
    answer: Any = api.bob.get(f"{path}?tail=1&follow=1")
    followed = iter(answer.streaming_content)
    assert next(followed) == b"3b\n"
    lose(cast)
    say(agent, 4, "not for bob any more")
    assert list(followed) == []


def test_following_by_session_ends_with_it(
    path: str, cast: Cast, agent: Agent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(web_follow, "CHECK_S", 0.0)
    client: Any = Browser()
    client.force_login(cast.bob.user)
    followed = iter(client.get(f"/api/v1{path}?tail=1&follow=1").streaming_content)
    assert next(followed) == b"3b\n"
    say(agent, 4, "still for bob")
    assert next(followed) == b"still for bob\n"
    client.logout()
    say(agent, 5, "not for bob any more")
    assert list(followed) == []


def test_within_the_interval_nothing_is_looked_up_again(monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []

    def refuse() -> bool:
        asked.append(1)
        return False

    source = web_follow._Source(lambda: "x", refuse)
    assert [source.next() for _ in range(5)] == ["x"] * 5
    assert asked == []


def test_under_asgi_the_text_comes_portion_by_portion(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_follow, "POLL_S", 0.0)
    parts = iter(["one\n", "", "two\n", None])

    async def read() -> list[str]:
        source = web_follow._Source(lambda: next(parts), lambda: True)
        return [part async for part in web_follow._async_body(source)]

    assert async_to_sync(read)() == ["one\n", "two\n"]


def test_under_asgi_a_client_that_goes_ends_it(monkeypatch: pytest.MonkeyPatch):
    async def read() -> None:
        source = web_follow._Source(lambda: "", lambda: True)
        async for _ in web_follow._async_body(source):
            pass

    async def leave() -> bool:
        task = asyncio.create_task(read())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert async_to_sync(leave)()
