"""What a crew gives each of its agents: its own figures within the installation's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem

LIMITS = {"agent_memory_mb": 256, "agent_cpus": 0.5, "agent_pids": 64}
NONE = dict.fromkeys(LIMITS)


def patch(api: Api, cast: Cast, **fields: Any) -> Any:
    return api.mona.patch(f"/crews/{cast.crew.pk}", fields)


def shown(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.content
    return {name: answer.json()[name] for name in LIMITS}


def test_a_crew_says_nothing_of_its_own(api: Api, cast: Cast):
    assert shown(api.vera.get(f"/crews/{cast.crew.pk}")) == NONE


def test_what_it_says_is_kept_and_can_be_cleared(api: Api, cast: Cast):
    assert shown(patch(api, cast, **LIMITS)) == LIMITS
    assert shown(patch(api, cast, name="Other")) == LIMITS
    assert shown(patch(api, cast, **NONE)) == NONE


def test_it_is_no_part_of_the_image(api: Api, cast: Cast):
    patch(api, cast, **LIMITS)
    before = cast.crew.config_hash
    cast.crew.refresh_from_db()
    assert cast.crew.config_hash == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("agent_memory_mb", 2049),
        ("agent_memory_mb", 15),
        ("agent_memory_mb", 10**25),
        ("agent_cpus", 2.01),
        ("agent_cpus", 0),
        ("agent_cpus", -1),
        ("agent_pids", 513),
        ("agent_pids", 0),
    ],
)
def test_beyond_the_bounds_it_is_refused(field: str, value: float, api: Api, cast: Cast):
    body = problem(patch(api, cast, **{field: value}), 400, "config_invalid")
    assert {error["path"] for error in body["errors"]} == {field}


def test_the_bounds_are_the_operators(api: Api, cast: Cast, set_options: Any, settings: Any):
    set_options(agents=replace(settings.CREWSHIP.agents, memory_mb=4096))
    assert shown(patch(api, cast, agent_memory_mb=4096))["agent_memory_mb"] == 4096
