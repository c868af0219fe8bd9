"""Telling every web process that something changed, so that waiting event streams look again.

A message is a topic (``crew:crw_…``, ``workspace:wsp_…``, ``standing:7``, ``health``) and no
content: streams read the database, so a message that Redis loses costs seconds and never a fact.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable
from functools import cache, partial

from django.conf import settings
from django.db import transaction
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

log = logging.getLogger(__name__)

CHANNEL = "crewship:news"
HEALTH = "health"  # the topic of every stream: provisioning stopped, or goes on again
PATIENCE_S = 0.5  # a Redis that is slower than this is as good as none
SILENCE_S = 5.0  # how long nothing is tried after a failure

_silent_until = 0.0


def announce(*topics: str) -> None:
    """Streams of these topics look again once the transaction has committed. Never raises."""
    transaction.on_commit(partial(_publish, topics), robust=True)


def announce_standing(user: Hashable) -> None:
    """What the user may has changed: all of his streams ask again whether they may go on, once
    the transaction has committed. Never raises."""
    announce(standing_topic(user))


def standing_topic(user: Hashable) -> str:
    return f"standing:{user}"


def _publish(topics: tuple[str, ...]) -> None:
    global _silent_until  # one for the process, as the connection is
    if time.monotonic() < _silent_until:
        return
    try:
        redis = _redis()
        for topic in topics:
            redis.publish(CHANNEL, topic)
    except (RedisError, OSError) as err:
        _silent_until = time.monotonic() + SILENCE_S
        log.debug("event streams are not told, Redis does not answer: %s", err)


@cache
def _redis() -> Redis:
    """A connection pool; it sees by itself that its process was forked."""
    return Redis.from_url(
        settings.CREWSHIP.redis_url,
        socket_connect_timeout=PATIENCE_S,
        socket_timeout=PATIENCE_S,
        retry=Retry(NoBackoff(), 0),
    )
