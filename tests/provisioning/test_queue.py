"""The way into RQ: only ids cross it, and an outage of Redis is survived."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from crewship import settings as production
from provisioning import queue


class FakeQueue:
    def __init__(self, away: bool = False) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.away = away

    def enqueue(self, *args: Any, **options: Any) -> None:
        if self.away:
            raise RedisConnectionError("no Redis")
        self.calls.append((*args, options))

    @property
    def count(self) -> int:
        if self.away:
            raise RedisConnectionError("no Redis")
        return len(self.calls)


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> FakeQueue:
    made = FakeQueue()
    monkeypatch.setattr("provisioning.queue._queue", lambda: made)
    return made


def test_only_the_tasks_name_and_an_id_cross_redis(redis: FakeQueue) -> None:
    assert queue.knock("job_x") is True
    ((task, job_id, options),) = redis.calls
    assert (task, job_id) == ("provisioning.tasks.run_provision", "job_x")
    assert set(options) == {"result_ttl", "failure_ttl"}


def test_the_queue_is_empty_until_somebody_knocks(redis: FakeQueue) -> None:
    assert queue.queue_is_empty()
    queue.knock("job_x")
    assert not queue.queue_is_empty()


def test_an_absent_redis_is_no_error_and_counts_as_empty(redis: FakeQueue) -> None:
    redis.away = True
    assert queue.knock("job_x") is False
    assert queue.queue_is_empty()


def test_the_queue_uses_json(settings: Any) -> None:
    assert settings.RQ_QUEUES["provision"]["SERIALIZER"] == "rq.serializers.JSONSerializer"


def test_a_redis_that_hangs_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, set_options: Any
) -> None:
    """It takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        set_options(redis_url=f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
        monkeypatch.setattr(queue, "PATIENCE_S", 0.2)
        queue._redis.cache_clear()
        assert queue.knock("job_x") is False
        assert queue.queue_is_empty()
        queue._redis().close()
    queue._redis.cache_clear()


def test_djangos_cache_waits_for_redis_a_second_at_most() -> None:
    options = production.CACHES["default"]["OPTIONS"]
    assert options == {"socket_connect_timeout": 1.0, "socket_timeout": 1.0}
