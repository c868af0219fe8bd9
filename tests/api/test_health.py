from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisConnectionError
from rest_framework.test import APIClient

from cache.models import DockerHost
from provisioning.worker_processes import beat
from tests.cast import Cast

SUMMARY = {"ready", "database", "redis", "provisioning"}
BALANCER = "10.0.3.7:8000"


def test_healthz_needs_nothing() -> None:
    answer = APIClient().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readyz_says_what_answers(host: DockerHost) -> None:
    beat("worker-1", host.name)
    answer = APIClient().get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "database": True,
        "redis": True,
        "provisioning": True,
    }


def test_readyz_is_200_without_a_live_host_and_says_so(host: DockerHost) -> None:
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))
    answer = APIClient().get("/readyz")
    assert answer.status_code == 200
    assert (answer.json()["ready"], answer.json()["provisioning"]) == (True, False)


def test_readyz_is_503_without_redis(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: object, **_kwargs: object) -> None:
        raise RedisConnectionError("no Redis")

    monkeypatch.setattr("django.core.cache.backends.locmem.LocMemCache.get", away)
    answer = APIClient().get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "database": True,
        "redis": False,
        "provisioning": False,
    }


def test_readyz_is_503_without_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseError("no database")

    with monkeypatch.context() as patch:
        patch.setattr("crewship.web.health.connection.cursor", away)
        answer = APIClient().get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "database": False,
        "redis": True,
        "provisioning": False,
    }


def test_readyz_is_503_when_the_database_goes_away_behind_its_back(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseError("no database")

    monkeypatch.setattr("crewship.workspaces.authentication.find_token", away)
    answer = APIClient().get("/readyz", HTTP_AUTHORIZATION="Bearer crs_x")
    assert (answer.status_code, answer.json()["database"]) == (503, False)


@pytest.mark.parametrize("by", ["token", "session"])
def test_who_is_signed_in_gets_the_parts(cast: Cast, host: DockerHost, by: str) -> None:
    client: Any = Client()
    headers = {}
    if by == "session":
        client.force_login(cast.vera.user)
    else:
        headers = {"HTTP_AUTHORIZATION": f"Bearer {cast.vera.secret}"}
    body = client.get("/readyz", **headers).json()
    assert body["hosts"][0]["name"] == "local"
    assert body["hosts"][0]["alive"] is True
    assert body["hosts"][0]["workers"] == {"live": 0, "busy": 0}
    assert body["upkeep"] == {"failing": 0, "oldest_age_s": None}
    assert body["queue"] == {"pending": 0, "running": 0, "oldest_wait_s": None}
    assert body["scheduler"] == {"alive": False, "heartbeat_age_s": None}
    assert "scheduler_lost" in [concern["code"] for concern in body["concerns"]]


@pytest.mark.parametrize("header", ["", "Bearer crs_wrong", "Bearer", "Bearer a b", "Basic eA=="])
def test_nobody_else_gets_them(host: DockerHost, header: str) -> None:
    answer = APIClient().get("/readyz", HTTP_AUTHORIZATION=header)
    assert answer.status_code == 200
    assert set(answer.json()) == SUMMARY


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_balancers_ask_plainly_behind_tls(host: DockerHost, settings: Any, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert APIClient().get(path).status_code == 200
    assert APIClient().get("/sign-in").status_code == 301


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("host_header", ["10.0.3.7:8000", "evil.example", "", "a b"])
def test_balancers_ask_by_any_address(host: DockerHost, path: str, host_header: str) -> None:
    answer = APIClient().get(path, HTTP_HOST=host_header)
    assert answer.status_code == 200


def test_by_a_foreign_address_even_who_is_signed_in_gets_no_parts(
    cast: Cast, host: DockerHost
) -> None:
    secret = f"Bearer {cast.vera.secret}"
    answer = APIClient().get("/readyz", HTTP_AUTHORIZATION=secret, HTTP_HOST=BALANCER)
    assert set(answer.json()) == SUMMARY


def test_a_foreign_address_opens_nothing_else(db: None) -> None:
    for path in ("/sign-in", "/healthz/", "/readyz/x"):
        assert APIClient().get(path, HTTP_HOST=BALANCER).status_code == 400


def test_health_is_never_stored(db: None) -> None:
    for path in ("/healthz", "/readyz"):
        assert "no-store" in APIClient().get(path)["Cache-Control"]


def test_health_checks_are_not_throttled(host: DockerHost, set_limits: Any) -> None:
    set_limits(anonymous_requests_per_minute=2)
    answers = {APIClient().get("/readyz").status_code for _ in range(10)}
    assert answers == {200}
