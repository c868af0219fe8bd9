"""Agents' output: followed live, cleaned, and written down for all agents in one transaction.

A flood costs nothing but reading: between two writes the first and the last lines are kept, those
in between are counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from django.db import Error as DatabaseError
from django.db import close_old_connections, transaction
from django.utils import timezone

from cache.upkeep import Outage
from crewship.crews.models import Agent, AgentLogChunk
from crewship.crews.secrets import SecretsUnreadable, mask, unseal
from crewship.domain.errors import EngineError
from crewship.engine.base import Engine
from crewship.engine.running import LogStream
from crewship.web.news import announce
from provisioning.agents.agent_script import OURS
from provisioning.pipeline.output import clean_line
from provisioning.stored_json import line_sizes

log = logging.getLogger(__name__)

WRITE_S: Final = 0.5
MAX_LINE: Final = 2000  # characters
KEPT_LINES: Final = 5000  # of each agent, in the database
KEPT_BYTES: Final = 4 * 1024 * 1024
CHUNK_BYTES: Final = 64 * 1024  # of one row
HEAD_LINES: Final = 1000  # of each agent between two writes
TAIL_LINES: Final = 1000


@dataclass(slots=True)
class Inbox:
    """Lines of one agent that are not written yet; raw, since most of a flood is never shown."""

    head: list[str] = field(default_factory=list)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    dropped: int = 0

    def add(self, lines: list[str]) -> None:
        room = HEAD_LINES - len(self.head)
        self.head += lines[:room]
        rest = lines[max(room, 0) :]
        self.dropped += max(0, len(self.tail) + len(rest) - TAIL_LINES)
        self.tail.extend(rest)

    def lines(self) -> list[str]:
        gap = [f"{OURS} {self.dropped} lines were dropped here"] if self.dropped else []
        return [*map(shown, self.head), *gap, *map(shown, self.tail)]


def shown(raw: str) -> str:
    """The line as stored: no control characters but colours, at most MAX_LINE long."""
    line = clean_line(raw)
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} [line cut]"


def log_topic(agent_id: str) -> str:
    """What is announced when the agent's log has become longer."""
    return f"log:{agent_id}"


def masked(agent: Agent, lines: list[str]) -> list[str]:
    """The lines without the agent's secret values; as they are, where these can't be opened: the
    container has none of them then."""
    if not agent.sealed_env:
        return lines
    try:
        secrets = unseal(agent).values()
    except SecretsUnreadable:
        return lines
    return [mask(line, secrets) for line in lines]


class AgentLogs:
    """The output of all agents of a host. Threads may call anything here."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._inboxes: dict[str, Inbox] = {}
        self._followers: dict[str, Follower] = {}
        self._at_work = threading.Lock()
        self._outage = Outage(log)
        self._places: dict[str, _Place] = {}  # of the writer's thread only

    def say(self, agent_id: str, text: str) -> None:
        """A line of ours is in the agent's log, between its own."""
        self.take(agent_id, [f"{OURS} {text}"])

    def take(self, agent_id: str, lines: list[str]) -> None:
        with self._lock:
            self._inboxes.setdefault(agent_id, Inbox()).add(lines)

    def follow(self, agent_id: str, container: str, since: float = 0) -> None:
        """The container's output is the agent's from now on (from ``since`` on), until it ends."""
        follower = Follower(self, agent_id, container, since)
        with self._lock:
            former = self._followers.get(agent_id)
            self._followers[agent_id] = follower
        if former is not None:
            former.close()
        follower.thread.start()

    def follows(self, agent_id: str, container: str) -> bool:
        with self._lock:
            follower = self._followers.get(agent_id)
        return follower is not None and follower.container == container

    def drain(self, agent_id: str, within_s: float = 2.0) -> None:
        """What a container that ended has printed is all here; nothing follows it any more."""
        with self._lock:
            follower = self._followers.pop(agent_id, None)
        if follower is not None:
            follower.finish(within_s)

    def resume_point(self, agent_id: str) -> float:
        """Up to when the agent's output is in the database, in seconds since 1970; 0: none is."""
        last = AgentLogChunk.objects.filter(agent_id=agent_id).order_by("-seq").first()
        return last.at.timestamp() if last is not None else 0

    # -- writing
    def run(self, ended: threading.Event) -> None:
        """Writes twice a second until ``ended`` is set, and once more then."""
        with self._at_work:  # a former thread may still write
            while not ended.wait(WRITE_S):
                self._try_to_write()
            with self._lock:
                followers = list(self._followers.values())
                self._followers.clear()
            for follower in followers:
                follower.close()
            self._try_to_write()
            close_old_connections()

    def _try_to_write(self) -> None:
        # What is read from here on is newer than this: a later watcher goes on from here.
        at = timezone.now()
        with self._lock:
            inboxes, self._inboxes = self._inboxes, {}
        if not inboxes:
            return
        try:
            self.write({agent_id: inbox.lines() for agent_id, inbox in inboxes.items()}, at)
        except Exception as err:  # the writer of all agents' output must not end
            self._outage.began(f"output of agents is not written yet: {err}")
            if not isinstance(err, DatabaseError):
                log.exception("output of agents is not written")
            close_old_connections()
            self._places.clear()
            self._put_back(inboxes)
        else:
            self._outage.over("output of agents is written again")

    def _put_back(self, inboxes: Mapping[str, Inbox]) -> None:
        with self._lock:
            for agent_id, inbox in inboxes.items():
                newer = self._inboxes.get(agent_id, Inbox())
                inbox.add([*newer.head, *newer.tail])
                inbox.dropped += newer.dropped
                self._inboxes[agent_id] = inbox

    def write(self, lines: Mapping[str, list[str]], at: datetime) -> None:
        """Chunks for each agent that still exists, without its secrets; those beyond KEPT_LINES
        and KEPT_BYTES are gone."""
        with transaction.atomic():
            known = (
                Agent.objects.filter(pk__in=lines).only("pk", "name", "sealed_env").order_by("pk")
            )
            chunks = []
            for agent in known:
                agent_id = agent.pk
                place = self._places.get(agent_id)
                if place is None:
                    place = self._places[agent_id] = _Place.read(agent_id)
                for part, size in _parts(masked(agent, lines[agent_id])):
                    seq = place.next(len(part), size)
                    chunks.append(AgentLogChunk(agent_id=agent_id, seq=seq, lines=part, at=at))
                if oldest := place.cut():
                    AgentLogChunk.objects.filter(agent_id=agent_id, seq__lt=oldest).delete()
                    chunks = [c for c in chunks if c.agent_id != agent_id or c.seq >= oldest]
            AgentLogChunk.objects.bulk_create(chunks)
            announce(*(log_topic(agent_id) for agent_id in {chunk.agent_id for chunk in chunks}))


def _parts(lines: Sequence[str]) -> Iterator[tuple[list[str], int]]:
    """The lines in rows of at most CHUNK_BYTES, and the bytes of each."""
    part: list[str] = []
    size = 0
    for line in lines:
        stored, _ = line_sizes(line)
        if part and size + stored > CHUNK_BYTES:
            yield part, size
            part, size = [], 0
        part.append(line)
        size += stored
    if part:
        yield part, size


class _Size(NamedTuple):
    seq: int
    lines: int
    size: int


@dataclass(slots=True)
class _Place:
    """Which chunks an agent has, and how much is in each."""

    sizes: deque[_Size]
    lines: int
    size: int
    last: int

    @classmethod
    def read(cls, agent_id: str) -> _Place:
        rows = AgentLogChunk.objects.filter(agent_id=agent_id).order_by("seq")
        place = cls(deque(), 0, 0, 0)
        for seq, lines in rows.values_list("seq", "lines").iterator(chunk_size=4):
            place.last = seq - 1
            place.next(len(lines), sum(line_sizes(str(line))[0] for line in lines))
        return place

    def next(self, lines: int, size: int) -> int:
        self.last += 1
        self.sizes.append(_Size(self.last, lines, size))
        self.lines += lines
        self.size += size
        return self.last

    def cut(self) -> int:
        """The first seq to keep so that KEPT_LINES are left, or as many as KEPT_BYTES have; 0:
        nothing is to go."""
        cut = False
        while len(self.sizes) > 1 and (
            self.lines - self.sizes[0].lines >= KEPT_LINES or self.size > KEPT_BYTES
        ):
            first = self.sizes.popleft()
            self.lines -= first.lines
            self.size -= first.size
            cut = True
        return self.sizes[0].seq if cut else 0


class Follower:
    """Reads one container's output in a thread of its own."""

    def __init__(self, logs: AgentLogs, agent_id: str, container: str, since: float) -> None:
        self.container = container
        self.thread = threading.Thread(target=self._run, name=f"log-{agent_id}", daemon=True)
        self._logs = logs
        self._agent_id = agent_id
        self._since = since
        self._stream: LogStream | None = None
        self._closed = threading.Event()

    def finish(self, within_s: float) -> None:
        """All was read, or the time is up; nothing is read any more."""
        self.thread.join(within_s)
        self.close()

    def close(self) -> None:
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _run(self) -> None:
        engine = self._logs._engine
        try:
            self._stream = engine.container_logs(self.container, since=self._since)
        except EngineError as err:
            log.warning("%s: no output of %s: %s", self._agent_id, self.container[:12], err)
            return
        if self._closed.is_set():
            self._stream.close()
        self._read(self._stream)

    def _read(self, texts: Iterable[str]) -> None:
        rest = ""
        for text in texts:
            *whole, rest = (rest + text).split("\n")
            rest = rest[: MAX_LINE * 2]  # an endless line must not grow in memory
            if whole:
                self._logs.take(self._agent_id, whole)
        if rest:
            self._logs.take(self._agent_id, [rest])
