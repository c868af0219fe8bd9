"""The way into RQ. A queued message is a knock on the workers' door, not an order for one job:
who answers it claims the job whose turn it is (``provisioning/claim.py``).

So a lost message costs seconds (the sweep knocks again), a doubled one nothing, and a workspace
that floods the queue does not starve the others.
"""

from __future__ import annotations

import logging

import django_rq
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

QUEUE = "provision"
TASK = "provisioning.tasks.run_provision"


def knock(job_id: str) -> bool:
    """A worker will look for work soon; False when Redis does not answer (the sweep tries again).

    ``job_id`` is for people who read the queue.
    """
    try:
        django_rq.get_queue(QUEUE).enqueue(TASK, job_id, result_ttl=0, failure_ttl=86400)
    except RedisError as err:
        log.warning("Redis does not answer, %s waits for the sweep: %s", job_id, err)
        return False
    return True


def queue_is_empty() -> bool:
    """Whether nobody knocks now; True as well when Redis does not answer."""
    try:
        return bool(django_rq.get_queue(QUEUE).count == 0)
    except RedisError:
        return True
