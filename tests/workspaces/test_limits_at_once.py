"""Two at once on PostgreSQL take one place, not two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from cache.models import DockerHost
from crewship.crews.models import Agent, Crew
from crewship.domain.roles import Role
from crewship.settings.options import Options
from crewship.workspaces.limits import LimitReached
from crewship.workspaces.models import ApiToken, Membership, User
from crewship.workspaces.services import add_member
from crewship.workspaces.tokens import make_token
from provisioning.agents.services import start_agent
from tests.cast import Cast, make_cast, make_crew

pytestmark = pytest.mark.postgres
AT_ONCE = 6


@pytest.fixture
def cast(postgres_db: str) -> Cast:
    return make_cast()


def refused_of(work: Callable[[int], Any]) -> int:
    """How many of AT_ONCE calls in as many threads were refused."""
    start = Barrier(AT_ONCE)
    refused: list[int] = []

    def run(number: int) -> None:
        start.wait(30)
        try:
            work(number)
        except LimitReached:
            refused.append(number)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return len(refused)


def set_limits(set_options: Callable[..., Options], **limits: int) -> None:
    set_options(limits=replace(settings.CREWSHIP.limits, **limits))


def test_crews(cast: Cast, set_options: Callable[..., Options]) -> None:
    set_limits(set_options, crews_per_workspace=3)
    refused = refused_of(lambda number: make_crew(cast.workspace, f"crew-{number}"))
    count = Crew.objects.filter(workspace=cast.workspace).count()
    assert (count, refused) == (3, AT_ONCE - 2)


def test_members(cast: Cast, set_options: Callable[..., Options]) -> None:
    set_limits(set_options, members_per_workspace=7)
    for number in range(AT_ONCE):
        User.objects.create_user(f"new-{number}@example.com", "has-a-password")

    def add(number: int) -> None:
        add_member(
            workspace=cast.workspace,
            email=f"new-{number}@example.com",
            role=Role.MEMBER,
            actor_role=Role.OWNER,
        )

    refused = refused_of(add)
    count = Membership.objects.filter(workspace=cast.workspace).count()
    assert (count, refused) == (7, AT_ONCE - 2)


def test_tokens(cast: Cast, set_options: Callable[..., Options]) -> None:
    set_limits(set_options, tokens_per_user=3)
    refused = refused_of(lambda number: make_token(user=cast.bob.user, name=f"token {number}"))
    count = ApiToken.objects.filter(user=cast.bob.user).count()
    assert (count, refused) == (3, AT_ONCE - 2)


def test_running_agents(cast: Cast, set_options: Callable[..., Options]) -> None:
    set_limits(set_options, running_agents_per_workspace=2)
    DockerHost.objects.create(
        name="local",
        engine_id="fake-engine",
        platform="linux/amd64",
        heartbeat_at=timezone.now() + timedelta(days=1),
    )
    crews = [make_crew(cast.workspace, f"crew-{number}") for number in range(AT_ONCE)]
    agents = [Agent.objects.create(crew=crew, name="writer", command="true") for crew in crews]
    refused = refused_of(lambda number: start_agent(agents[number], cast.mona.user))
    assert (Agent.objects.filter(wants_running=True).count(), refused) == (2, AT_ONCE - 2)
