"""A stream ends at once when its caller may no more, without waiting for the next recheck."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asgiref.sync import sync_to_async

from crewship.domain.roles import Role
from crewship.web import news, sse
from crewship.workspaces.services import change_role, remove_member
from crewship.workspaces.tokens import revoke_token
from tests.cast import Cast
from tests.streams import open_stream, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _heard_without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is announced reaches this process's hubs, as it would by way of Redis."""

    def publish(topics: tuple[str, ...]) -> None:
        for loop, hub in list(sse._hubs.items()):
            if not loop.is_closed():
                for topic in topics:
                    loop.call_soon_threadsafe(hub.hear, topic)

    monkeypatch.setattr(news, "_publish", publish)


def expel(cast: Cast) -> None:
    remove_member(membership=cast.vera.membership, actor_role=Role.OWNER)


def revoke(cast: Cast) -> None:
    revoke_token(cast.vera.token)


def deactivate(cast: Cast) -> None:
    cast.vera.user.is_active = False
    cast.vera.user.save()


@pytest.mark.parametrize("take_away", [expel, revoke, deactivate])
def test_it_ends_at_once(take_away: Callable[[Cast], None], cast: Cast) -> None:
    async def scenario() -> bool:
        stream = await open_stream(cast.vera.secret, "/events")
        await stream.next()
        await sync_to_async(take_away)(cast)
        return await stream.next(within_s=4) is None

    assert run(scenario)


def test_it_goes_on_for_whoever_still_may(cast: Cast) -> None:
    async def scenario() -> bool:
        stream = await open_stream(cast.vera.secret, "/events")
        await stream.next()
        change = sync_to_async(change_role)
        await change(membership=cast.vera.membership, role=Role.MANAGER, actor_role=Role.OWNER)
        with pytest.raises(TimeoutError):
            await stream.next(within_s=1)
        return True

    assert run(scenario)


def announced_of(user_pk: int, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> bool:
    told: list[str] = []
    monkeypatch.setattr(news, "_publish", told.extend)
    act()
    return news.standing_topic(user_pk) in told


def test_a_changed_password_is_announced(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def change() -> None:
        cast.vera.user.set_password("a-new-one-for-vera")
        cast.vera.user.save()

    assert announced_of(cast.vera.user.pk, change, monkeypatch)


def test_a_changed_role_is_announced(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def change() -> None:
        change_role(membership=cast.bob.membership, role=Role.VIEWER, actor_role=Role.OWNER)

    assert announced_of(cast.bob.user.pk, change, monkeypatch)
