from __future__ import annotations

import pytest
from django.db import DatabaseError
from redis.exceptions import ConnectionError as RedisConnectionError
from rest_framework.test import APIClient


def test_healthz_needs_nothing() -> None:
    answer = APIClient().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readyz_says_what_answers(db: None) -> None:
    answer = APIClient().get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "database": True, "redis": True}


def test_readyz_is_503_without_redis(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: object, **_kwargs: object) -> None:
        raise RedisConnectionError("no Redis")

    monkeypatch.setattr("django.core.cache.backends.locmem.LocMemCache.get", away)
    answer = APIClient().get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "database": True, "redis": False}


def test_readyz_is_503_without_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseError("no database")

    with monkeypatch.context() as patch:
        patch.setattr("crewship.web.health.connection.cursor", away)
        answer = APIClient().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] is False
