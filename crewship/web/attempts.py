"""Counting attempts (at a password) per key and time, shared by all web processes through Redis."""

from __future__ import annotations

import hashlib
import logging

from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)


def take_attempt(key: str, *, limit: int, window_s: int) -> bool:
    """Counts one attempt; False when ``limit`` of them were made within ``window_s`` already.

    The window begins with the first attempt. Open while Redis is away, as the API's throttles:
    an outage must not lock everybody out.
    """
    name = _name(key)
    try:
        if cache.add(name, 1, timeout=window_s):
            return limit >= 1
        return cache.incr(name) <= limit
    except ValueError:  # it ran out between the two calls
        return True
    except RedisError as err:
        log.warning("attempts are not counted, Redis does not answer: %s", err)
        return True


def forget_attempts(key: str) -> None:
    """The next attempt under the key is the first."""
    try:
        cache.delete(_name(key))
    except RedisError as err:
        log.warning("attempts are not forgotten, Redis does not answer: %s", err)


def _name(key: str) -> str:
    return f"attempts_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
