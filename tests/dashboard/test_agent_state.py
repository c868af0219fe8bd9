"""How an agent stands, in the crew's list and on its own page: both say the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from crewship.crews.models import Agent
from tests.cast import Cast
from tests.dashboard.conftest import Browse

PAGES = ("/w/acme/crews/backend/", "/w/acme/crews/backend/agents/coder")


def shown(cast: Cast, browse: Browse, **facts: Any) -> list[str]:
    values = {"name": "coder", "command": "exit 9", "wants_running": True, **facts}
    Agent.objects.create(crew=cast.crew, **values)
    return [" ".join(browse.bob.get(page).content.decode().split()) for page in PAGES]


@pytest.mark.parametrize("status", ["running", "exited"])
def test_a_crash_loop_is_told_in_both_places(cast: Cast, browse: Browse, status: str):
    facts = {"status": status, "exit_code": 9, "restarts": 3, "started_at": timezone.now()}
    for page in shown(cast, browse, **facts):
        assert "restarting, exit code 9, 3 restarts" in page
        assert "warn-text" in page
        assert "running since" not in page


def test_one_that_runs_steadily_again_is_no_crash_loop(cast: Cast, browse: Browse):
    long_ago = timezone.now() - timedelta(minutes=2)
    for page in shown(cast, browse, status="running", exit_code=9, restarts=1, started_at=long_ago):
        assert "running since" in page
        assert "restarted 1 time" in page
        assert "restarting" not in page


def test_one_that_was_stopped_is_not_restarting(cast: Cast, browse: Browse):
    for page in shown(cast, browse, status="stopped", wants_running=False, exit_code=9, restarts=3):
        assert "restarting" not in page
