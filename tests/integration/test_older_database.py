"""A data directory of an earlier build starts under this one, and nothing in it is lost.

``older/`` has one: crews that were built, failed, cancelled and never provisioned; an agent with a
secret; a token; members; jobs with their events. It was made by the product at the commit that
``facts.json`` names, and is never made anew.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stack.features import NAMESPACE
from tests.stack.server import Api, Stack, running_stack, wait_until

pytestmark = pytest.mark.engine
OLDER = Path(__file__).with_name("older")
FACTS: dict[str, Any] = json.loads((OLDER / "facts.json").read_text())
CREWS: dict[str, str] = FACTS["crews"]


@pytest.fixture(scope="module")
def older_stack(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[Stack]:
    data_dir = tmp_path_factory.mktemp("older")
    (data_dir / "secret-key").write_text(FACTS["secret_key"])
    database = sqlite3.connect(data_dir / "crewship.sqlite3")
    database.executescript((OLDER / "database.sql").read_text())
    database.close()
    settings = {"CREWSHIP_FEATURE_LAYOUTS": f"{NAMESPACE}={layout}", "CREWSHIP_HOST": "local"}
    with running_stack(data_dir, settings, workers=1) as stack:
        yield stack


@pytest.fixture(scope="module")
def older_api(older_stack: Stack) -> Iterator[Api]:
    """By the token that the earlier build gave out."""
    api = Api(older_stack.url, FACTS["token"])
    yield api
    api.http.close()


def test_every_crew_is_there_with_its_text(older_api: Api) -> None:
    crews = {c["slug"]: c for c in older_api.http.get("/crews").json()["results"]}
    assert {slug: crew["id"] for slug, crew in crews.items()} == CREWS
    config = json.loads(crews["built"]["devcontainer_config"])
    assert config["containerEnv"] == {"CREW": "built"}
    assert crews["never"]["mise_config"] == '{"tools": {"npm:prettier": "3"}}'


@pytest.mark.parametrize("slug", [slug for slug, jobs in FACTS["jobs"].items() if jobs])
def test_jobs_and_their_logs_are_as_they_were(older_api: Api, slug: str) -> None:
    assert [job["id"] for job in older_api.jobs(CREWS[slug])][-len(FACTS["jobs"][slug]) :] == (
        FACTS["jobs"][slug]
    )
    log = older_api.http.get(f"/jobs/{FACTS['jobs'][slug][0]}/log").text
    assert log == FACTS["logs"][slug]


@pytest.mark.parametrize("slug", ["broken", "never", "empty", "stopped"])
def test_a_status_is_as_it_was(older_api: Api, slug: str) -> None:
    assert older_api.status(CREWS[slug])["status"] == FACTS["status"][slug]


def test_an_agent_starts_with_the_secret_that_was_sealed_then(older_api: Api) -> None:
    crew, agent = CREWS["built"], FACTS["agents"]["writer"]
    older_api.build(crew, within_s=300)
    path = f"/crews/{crew}/agents/{agent}"
    command = 'test "$API_KEY" = write-only && echo "the secret is right"; sleep 1000'
    assert older_api.http.patch(path, json={"command": command}).status_code == 200
    assert older_api.http.post(f"{path}/start").status_code == 202

    def says_so() -> bool:
        return "the secret is right" in older_api.http.get(f"{path}/logs").text

    wait_until(says_so, 120, "the agent's word")
    assert older_api.http.post(f"{path}/stop").is_success
