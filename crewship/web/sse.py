"""Server-sent events (HTML Living Standard, 9.2): the transport. It knows no model.

A stream is an async generator that waits without a thread and without a database connection. One
``Hub`` in each process listens to the news (``crewship/web/news.py``) for all of its streams and
wakes those of a topic; each then asks its feed, which reads the database through ``Hub.shared``,
so that a hundred streams that woke together cost one read. Without Redis they look every second.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import redis.asyncio
from asgiref.sync import SyncToAsync
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from django.http import StreamingHttpResponse
from redis.exceptions import RedisError
from rest_framework.renderers import JSONRenderer

from crewship.web.frames import KEEPALIVE, joined, retry
from crewship.web.knock import Knock
from crewship.web.news import CHANNEL, HEALTH
from crewship.web.stream_places import TooManyStreams, places

log = logging.getLogger(__name__)

T = TypeVar("T")

KEEPALIVE_S = 15.0
RECHECK_S = 30.0  # how late the end of a permission is seen that nobody announced
LOOK_S = 5.0  # without any news; some changes are told by nobody
LOOK_ALONE_S = 1.0  # while Redis is away
GATHER_S = 0.1  # how long a read waits for others that want the same

_readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="stream-reads")


class EventStreamRenderer(JSONRenderer):
    """Lets an ``Accept: text/event-stream`` pass; what DRF renders with it are problems."""

    media_type = "text/event-stream"
    format = "event-stream"


@dataclass(frozen=True, slots=True)
class News:
    """What a feed has for its stream since it was last asked."""

    frames: Sequence[bytes] = ()
    more: bool = False  # ask again at once
    over: bool = False  # nothing will ever follow


class Feed(Protocol):
    """What one stream shows, and how far it is."""

    topic: str

    async def news(self, hub: Hub) -> News: ...


class Hub:
    """All streams of one event loop: who waits for what, and who reads."""

    def __init__(self) -> None:
        self.stopping = False
        self.hears = False  # Redis tells us of changes
        self._waiting: dict[str, set[Knock]] = defaultdict(set)
        self._gathering: dict[Hashable, asyncio.Task[Any]] = {}
        self._listener: asyncio.Task[None] | None = None

    @contextmanager
    def place(self, topic: str, user: Hashable) -> Iterator[Knock]:
        """News of the topic, of what the user may and of the installation's health knock."""
        event = Knock(user)
        topics = (topic, event.standing, HEALTH)
        for name in topics:
            self._waiting[name].add(event)
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        try:
            yield event
        finally:
            for name in topics:
                self._waiting[name].discard(event)
                if not self._waiting[name]:
                    del self._waiting[name]
            if not self._waiting and self._listener is not None:
                self._listener.cancel()
                self._listener, self.hears = None, False

    async def pause(self, event: asyncio.Event, until: float) -> None:
        """Waits for news, for the next look, or until that time of the monotonic clock.

        Looks fall on the same moments for all streams, so that they share their reads.
        """
        now = time.monotonic()
        every = LOOK_S if self.hears else LOOK_ALONE_S
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(every - now % every, until - now))):
                await event.wait()

    async def shared(self, key: Hashable, read: Callable[[], T], gather_s: float = GATHER_S) -> T:
        """What a read that began after this call returned. Calls with an equal key share one."""
        task = self._gathering.get(key)
        if task is None:
            task = asyncio.create_task(self._read(key, read, gather_s))
            self._gathering[key] = task
        return await asyncio.shield(task)  # a stream that leaves takes nothing from the others

    async def _read(self, key: Hashable, read: Callable[[], T], gather_s: float) -> T:
        await asyncio.sleep(gather_s)
        del self._gathering[key]  # who comes now may have heard of something newer
        return await asyncio.get_running_loop().run_in_executor(_readers, _with_database, read)

    def stop(self) -> None:
        """Every stream ends at its next step, so that the server's stop is quick."""
        self.stopping = True
        self._wake_all()

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except (RedisError, OSError) as err:
                if self.hears:
                    log.warning("event streams look by themselves, Redis is gone: %s", err)
            self.hears = False
            self._wake_all()
            await asyncio.sleep(LOOK_ALONE_S)

    async def _hear(self) -> None:
        """Raises RedisError or OSError when the connection is lost."""
        url = settings.CREWSHIP.redis_url
        async with (
            redis.asyncio.from_url(url, socket_connect_timeout=2, health_check_interval=10) as to,
            to.pubsub(ignore_subscribe_messages=True) as channel,
        ):
            await channel.subscribe(CHANNEL)
            self.hears = True
            self._wake_all(doubting=True)  # something may have been told before we listened
            while True:
                message = await channel.get_message(timeout=LOOK_S)
                if message is not None:
                    self.hear(message["data"].decode())

    def hear(self, topic: str) -> None:
        """Wakes the streams of the topic; those of a user whose standing changed doubt it."""
        for event in self._waiting.get(topic, ()):
            event.doubted |= topic == event.standing
            event.set()

    def _wake_all(self, *, doubting: bool = False) -> None:
        for events in self._waiting.values():
            for event in events:
                event.doubted |= doubting
                event.set()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def current_hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
        _stop_at_sigterm(loop, hub)
    return hub


def _stop_at_sigterm(loop: asyncio.AbstractEventLoop, hub: Hub) -> None:
    """Before the server's own handler does its part: it would wait for streams to end."""
    servers_own = signal.getsignal(signal.SIGTERM)
    if not callable(servers_own) or threading.current_thread() is not threading.main_thread():
        return

    def stop(number: int, stack: FrameType | None) -> None:
        loop.call_soon_threadsafe(hub.stop)
        servers_own(number, stack)

    signal.signal(signal.SIGTERM, stop)


@dataclass(frozen=True, slots=True)
class Form:
    """How a stream is written: what it begins with, and what it says in silence."""

    content_type: str
    opening: Callable[[], bytes] = bytes
    keepalive: bytes = b""


EVENTS = Form("text/event-stream", retry, KEEPALIVE)
TEXT = Form("text/plain; charset=utf-8")  # the frames are the text


def event_stream(
    feed: Feed, *, user: Hashable, standing: Callable[[], bool], form: Form = EVENTS
) -> StreamingHttpResponse:
    """The feed's events as a response. ``standing`` (hashable, reads the database) is asked when
    it is announced, and every RECHECK_S, whether the user still may; if not, the stream ends.

    Raises TooManyStreams. Streams are counted in each process, from this call until the response
    is closed or nobody has it any more, also where its body was never begun.
    """
    limit = settings.CREWSHIP.limits.streams_per_user
    leave = places.take(user, limit)
    if leave is None:
        raise TooManyStreams(f"You have {limit} event streams open already.", retry_after_s=5)
    response = StreamingHttpResponse(
        _frames(feed, user, standing, form, leave),
        content_type=form.content_type,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
    # What Django's own file responses use.
    response._resource_closers.append(leave)  # type: ignore[attr-defined]  # the stubs lack it
    weakref.finalize(response, leave).atexit = False
    return response


async def _frames(
    feed: Feed,
    user: Hashable,
    standing: Callable[[], bool],
    form: Form,
    leave: Callable[[], None],
) -> AsyncIterator[bytes]:
    _let_go_of_thread()
    hub = current_hub()
    with ExitStack() as at_end, hub.place(feed.topic, user) as knocked:
        at_end.callback(leave)
        yield form.opening()
        told = checked = time.monotonic()
        while not hub.stopping:
            knocked.clear()
            try:
                news = await feed.news(hub)
                if knocked.doubted or time.monotonic() - checked >= RECHECK_S:
                    knocked.doubted, checked = False, time.monotonic()
                    if not await hub.shared(standing, standing):
                        return
            except DatabaseError as err:
                log.warning("an event stream ends, the database does not answer: %s", err)
                return
            for chunk in joined(news.frames):
                yield chunk
                await asyncio.sleep(0)  # the server sees here that the client has left
            if news.over:
                return
            if news.frames:
                told = time.monotonic()
            elif time.monotonic() - told >= KEEPALIVE_S:
                told = time.monotonic()
                yield form.keepalive
            if not news.more:
                await hub.pause(knocked, min(told + KEEPALIVE_S, checked + RECHECK_S))


def _with_database(read: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return read()
    finally:
        close_old_connections()


def _let_go_of_thread() -> None:
    """asgiref keeps a thread for each request, with a database connection of its own, until the
    response has ended. A stream needs neither; whatever follows it gets a new one."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    executor = SyncToAsync.context_to_thread_executor.pop(context, None) if context else None
    if executor is not None:
        executor.submit(connections.close_all)
        executor.shutdown(wait=False)
