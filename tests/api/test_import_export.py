"""POST /crews/import and GET /crews/{id}/export: a crew as the files of a repository."""

from __future__ import annotations

from typing import Any

import pytest

from crewship.crews.models import Crew
from provisioning.states import JobState
from tests.cast import CONFIG, Cast, make_crew
from tests.conftest import Api, JobMaker
from tests.problem import problem

PLACE = ".devcontainer/devcontainer.json"
LOCK = ".devcontainer/devcontainer-lock.json"
FEATURE = "ghcr.io/devcontainers/features/node:1"
DIGEST = "sha256:" + "a" * 64
RESOLVED = [
    {
        "ref": FEATURE,
        "resolved": f"ghcr.io/devcontainers/features/node@{DIGEST}",
        "version": "1.2.3",
        "options": [],
        "depends_on": [],
    }
]


def take_in(api: Api, files: dict[str, str], **fields: Any) -> Any:
    return api.mona.post("/crews/import", {"slug": "new", "files": files, **fields})


@pytest.mark.parametrize("name", [PLACE, "devcontainer.json", ".devcontainer.json", f"./{PLACE}"])
def test_a_devcontainer_json_is_taken_in_as_it_is(name: str, api: Api) -> None:
    text = '\ufeff// mine\r\n{"image": "debian:sid",}\r\n'[1:]
    answer = take_in(api, {name: text})
    assert answer.status_code == 201, answer.content
    assert answer.json()["devcontainer_config"] == text
    assert Crew.objects.get(slug="new").devcontainer_config == text


@pytest.mark.parametrize(
    ("config", "fields", "name"),
    [
        ('{"name": "From the config"}', {}, "From the config"),
        ('{"name": "From the config"}', {"name": "Said"}, "Said"),
        ('{"name": "  "}', {}, "new"),
        ("{}", {}, "new"),
    ],
)
def test_the_name_is_what_is_said_else_the_configs(
    config: str, fields: dict[str, str], name: str, api: Api
) -> None:
    assert take_in(api, {PLACE: config}, **fields).json()["name"] == name


def test_mise_and_lock_come_along(api: Api) -> None:
    mise = '[tools]\nnode = "22"\n'
    entry = {"version": "1.0.0", "resolved": RESOLVED[0]["resolved"], "integrity": DIGEST}
    lock = str({"features": {FEATURE: entry}}).replace("'", '"')
    files = {PLACE: f'{{"features": {{"{FEATURE}": {{}}}}}}', "mise.toml": mise, LOCK: lock}
    made = take_in(api, files).json()
    assert (made["mise_config"], made["lock_config"]) == (mise, lock)


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "config_missing"),
        ({PLACE: ""}, "empty_file"),
        ({PLACE: " \n"}, "empty_file"),
        ({"Dockerfile": "FROM x"}, "file_unknown"),
        ({"../devcontainer.json": "{}"}, "file_unknown"),
        ({PLACE: "{}", "devcontainer.json": "{}"}, "file_twice"),
    ],
)
def test_files_that_make_no_crew_are_400(api: Api, files: dict[str, str], code: str) -> None:
    before = Crew.objects.count()
    body = problem(take_in(api, files), 400, "config_invalid")
    assert [error["code"] for error in body["errors"]] == [code]
    assert Crew.objects.count() == before


def test_what_is_wrong_in_a_file_is_said_as_at_a_save(api: Api) -> None:
    body = problem(take_in(api, {PLACE: '{"privileged": true}'}), 400, "config_invalid")
    assert [error["path"] for error in body["errors"]] == ["privileged"]
    problem(take_in(api, {PLACE: "{"}), 400, "config_invalid")


def test_files_must_be_texts_by_name(api: Api) -> None:
    wrong: tuple[Any, ...] = (None, [], {PLACE: None}, {PLACE: {}}, "x")
    for files in wrong:
        problem(api.mona.post("/crews/import", {"slug": "new", "files": files}), 400, "invalid")


def test_an_export_has_the_texts_byte_for_byte(api: Api, cast: Cast) -> None:
    assert api.vera.get(f"/crews/{cast.crew.pk}/export").json() == {
        "slug": "backend",
        "name": "Backend",
        "runtime_image": "",
        "files": {PLACE: CONFIG},
        "locked": False,
    }


def test_an_export_of_a_crew_with_nothing_has_no_file(api: Api, cast: Cast) -> None:
    crew = make_crew(cast.workspace, "bare", None)
    assert api.vera.get(f"/crews/{crew.pk}/export").json()["files"] == {}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"runtime_image": "debian:sid"},
        {"mise_config": '{"tools": {"node": ["22", "20"]}}'},
        {"devcontainer_config": None, "mise_config": '[tools]\nnode = "22"\n'},
    ],
)
def test_an_export_taken_in_has_the_same_hash(api: Api, cast: Cast, fields: dict[str, Any]) -> None:
    config = fields.pop("devcontainer_config", CONFIG)
    crew = make_crew(cast.workspace, "first", config, **fields)
    exported = api.vera.get(f"/crews/{crew.pk}/export").json()
    again = api.mona.post("/crews/import", {**exported, "slug": "again"})
    assert again.status_code == 201, again.content
    assert again.json()["config_hash"] == crew.config_hash


def test_what_was_resolved_is_exported_as_a_lock_that_pins_who_wants_it(
    api: Api, cast: Cast, make_job: JobMaker
) -> None:
    crew = make_crew(cast.workspace, "first", {"features": {FEATURE: {}}})
    make_job(crew, JobState.COMPLETED, resolved_features=RESOLVED)
    exported = api.vera.get(f"/crews/{crew.pk}/export").json()
    assert DIGEST in exported["files"][LOCK]
    again = api.mona.post("/crews/import", {**exported, "slug": "again"}).json()
    assert (again["config_hash"], again["lock_config"]) == (crew.config_hash, None)
    pinned = api.mona.post("/crews/import", {**exported, "slug": "pinned", "locked": True}).json()
    assert pinned["lock_config"] == exported["files"][LOCK]
    assert pinned["config_hash"] != crew.config_hash
    whole = api.vera.get(f"/crews/{pinned['id']}/export").json()
    assert whole["locked"] is True
