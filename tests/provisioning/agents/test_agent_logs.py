"""Output of agents on its way to the database: bounded, clean, in order."""

from __future__ import annotations

import json

import pytest
from django.db import Error as DatabaseError
from django.utils import timezone

from crewship.crews.models import Agent, AgentLogChunk
from crewship.engine.fake_agents import FakeProcess
from provisioning.agents.agent_logs import (
    CHUNK_BYTES,
    HEAD_LINES,
    KEPT_BYTES,
    KEPT_LINES,
    TAIL_LINES,
    Inbox,
    shown,
)
from tests.provisioning.agents.conftest import World


def numbered(count: int, start: int = 0) -> list[str]:
    return [str(n) for n in range(start, start + count)]


def test_a_flood_keeps_its_first_and_last_lines_and_counts_the_others() -> None:
    inbox = Inbox()
    for start in range(0, 100_000, 1000):
        inbox.add(numbered(1000, start))
    lines = inbox.lines()
    assert lines[:HEAD_LINES] == numbered(HEAD_LINES)
    assert lines[HEAD_LINES] == "crewship: 98000 lines were dropped here"
    assert lines[HEAD_LINES + 1 :] == numbered(TAIL_LINES, 100_000 - TAIL_LINES)


def test_what_fits_is_kept_whole() -> None:
    inbox = Inbox()
    inbox.add(numbered(HEAD_LINES + TAIL_LINES))
    assert inbox.lines() == numbered(HEAD_LINES + TAIL_LINES)


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("\x1b]0;title\x07text\x1b[2J", "text"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("10%\r100%", "100%"),
        ("x" * 3000, "x" * 2000 + " [line cut]"),
    ],
)
def test_lines_are_clean_and_bounded(raw: str, line: str) -> None:
    assert shown(raw) == line


def test_only_the_last_lines_of_an_agent_are_kept(world: World) -> None:
    agent = world.agent()
    for start in range(0, 12_000, 1000):
        world.logs.write({agent.pk: numbered(1000, start)}, timezone.now())
    assert world.log(agent) == numbered(KEPT_LINES, 12_000 - KEPT_LINES)


def test_a_flood_of_long_lines_is_bounded_in_bytes(world: World) -> None:
    agent = world.agent()
    for start in range(0, 6000, 1000):
        lines = [f"{n:02000}" for n in range(start, start + 1000)]
        world.logs.write({agent.pk: lines}, timezone.now())
    chunks = AgentLogChunk.objects.order_by("seq").values_list("lines", flat=True)
    sizes = [len(json.dumps(lines)) for lines in chunks]
    assert max(sizes) <= CHUNK_BYTES + 1024
    assert KEPT_BYTES * 0.9 < sum(sizes) <= KEPT_BYTES + len(sizes) * 1024
    assert world.log(agent)[-1] == f"{5999:02000}"


def test_a_later_watcher_goes_on_counting_bytes(world: World) -> None:
    agent = world.agent()
    for start in range(0, 3000, 1000):
        world.watch_anew()
        lines = [f"{n:02000}" for n in range(start, start + 1000)]
        world.logs.write({agent.pk: lines}, timezone.now())
    sizes = [
        len(json.dumps(lines)) for lines in AgentLogChunk.objects.values_list("lines", flat=True)
    ]
    assert KEPT_BYTES * 0.9 < sum(sizes) <= KEPT_BYTES + len(sizes) * 1024


def test_a_later_watcher_counts_on(world: World) -> None:
    agent = world.agent()
    world.logs.write({agent.pk: ["one"]}, timezone.now())
    world.watch_anew()
    world.logs.write({agent.pk: ["two"]}, timezone.now())
    assert list(AgentLogChunk.objects.values_list("seq", "lines")) == [(1, ["one"]), (2, ["two"])]


def test_output_of_a_deleted_agent_is_dropped(world: World) -> None:
    gone, agent = world.agent("gone"), world.agent()
    Agent.objects.filter(pk=gone.pk).delete()
    world.logs.write({gone.pk: ["lost"], agent.pk: ["kept"]}, timezone.now())
    assert world.log(agent) == ["kept"]


def test_what_the_database_did_not_take_is_written_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = world.agent()
    write = world.logs.write

    def refuse(*_: object) -> None:
        monkeypatch.setattr(world.logs, "write", write)
        world.logs.take(agent.pk, ["two"])
        raise DatabaseError("locked")

    monkeypatch.setattr(world.logs, "write", refuse)
    world.logs.take(agent.pk, ["one"])
    world.logs._try_to_write()
    assert world.log(agent) == ["one", "two"]


def test_all_that_a_container_printed_is_there_when_it_was_drained(world: World) -> None:
    world.engine.on_input(lambda spec, text: FakeProcess("one\ntwo\nno newline", ends=True))
    agent = world.start(world.agent())
    world.logs.drain(agent.pk)
    assert world.log(agent)[:3] == ["one", "two", "no newline"]
