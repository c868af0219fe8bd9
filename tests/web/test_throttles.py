from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.cast import Cast
from tests.conftest import Api, Client
from tests.problem import problem


def test_a_user_is_throttled_and_told_how_long(api: Api, set_limits: Callable[..., Any]) -> None:
    set_limits(user_requests_per_minute=2)
    assert api.vera.get("/crews").status_code == 200
    assert api.vera.get("/nothing").status_code == 404
    answer = api.vera.get("/crews")
    problem(answer, 429, "throttled")
    assert 1 <= int(answer["Retry-After"]) <= 60


def test_each_user_has_a_count_of_her_own(api: Api, set_limits: Callable[..., Any]) -> None:
    set_limits(user_requests_per_minute=1)
    assert api.vera.get("/crews").status_code == 200
    assert api.bob.get("/crews").status_code == 200
    problem(api.vera.get("/crews"), 429)


def test_a_users_tokens_share_one_count(
    api: Api, cast: Cast, set_limits: Callable[..., Any]
) -> None:
    from crewship.workspaces.tokens import make_token

    set_limits(user_requests_per_minute=1)
    _, secret = make_token(user=cast.vera.user, name="second")
    assert api.vera.get("/crews").status_code == 200
    problem(Client(secret).get("/crews"), 429)


@pytest.mark.parametrize("path", ["/crews", "/nothing"])
def test_an_anonymous_address_is_throttled(
    path: str, api: Api, set_limits: Callable[..., Any]
) -> None:
    set_limits(anonymous_requests_per_minute=2)
    problem(api.nobody.get(path), 401)
    problem(api.nobody.get(path), 401)
    answer = api.nobody.get(path)
    problem(answer, 429, "throttled")
    assert int(answer["Retry-After"]) >= 1


@pytest.mark.parametrize("path", ["/crews", "/nothing", "/cache/images", "/schema"])
def test_guessing_tokens_is_throttled(path: str, api: Api, set_limits: Callable[..., Any]) -> None:
    set_limits(anonymous_requests_per_minute=2)
    for guess in ("crs_a", "crs_b"):
        problem(api.by(guess).get(path), 401)
    problem(api.by("crs_c").get(path), 429, "throttled")


def test_bad_guesses_do_not_lock_a_user_out(api: Api, set_limits: Callable[..., Any]) -> None:
    set_limits(anonymous_requests_per_minute=1)
    problem(api.by("crs_a").get("/crews"), 401)
    problem(api.by("crs_a").get("/crews"), 429)
    assert api.vera.get("/crews").status_code == 200


def test_without_redis_requests_pass(
    api: Api, set_limits: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object, **_kwargs: object) -> None:
        raise RedisConnectionError("no Redis")

    set_limits(user_requests_per_minute=1)
    monkeypatch.setattr("django.core.cache.backends.locmem.LocMemCache.get", away)
    assert api.vera.get("/crews").status_code == 200
    assert api.vera.get("/crews").status_code == 200
