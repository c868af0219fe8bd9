"""The way into RQ. A queued message is a knock on the workers' door, not an order for one job:
who answers it claims the job whose turn it is (``provisioning/claim.py``).

So a lost message costs seconds (the sweep knocks again), a doubled one nothing, and a workspace
that floods the queue does not starve the others.
"""

from __future__ import annotations

import logging
from functools import cache

import django_rq
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry
from rq import Queue

log = logging.getLogger(__name__)

QUEUE = "provision"
TASK = "provisioning.tasks.run_provision"
PATIENCE_S = 2.0  # for each answer of Redis


def knock(job_id: str) -> bool:
    """A worker will look for work soon; False when Redis does not answer (the sweep tries again).

    ``job_id`` is for people who read the queue.
    """
    try:
        _queue().enqueue(TASK, job_id, result_ttl=0, failure_ttl=86400)
    except RedisError as err:
        log.warning("Redis does not answer, %s waits for the sweep: %s", job_id, err)
        return False
    return True


def queue_is_empty() -> bool:
    """Whether nobody knocks now; True as well when Redis does not answer."""
    try:
        return bool(_queue().count == 0)
    except RedisError:
        return True


def _queue() -> Queue:
    return django_rq.get_queue(QUEUE, connection=_redis())


@cache
def _redis() -> Redis:
    """A connection pool; it sees by itself that its process was forked. A Redis that hangs holds
    up neither a request nor the sweep."""
    return Redis.from_url(
        settings.CREWSHIP.redis_url,
        socket_connect_timeout=PATIENCE_S,
        socket_timeout=PATIENCE_S,
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
    )
