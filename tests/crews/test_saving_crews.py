"""CONTRACT.md, "Crews, agents, jobs": what happens to a crew's texts when it is saved."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cache.models import CachedImage
from crewship.crews.models import Crew
from tests.cast import CONFIG, Cast
from tests.conftest import Api
from tests.problem import problem

FIELDS = {
    "id", "name", "slug", "runtime_image", "devcontainer_config", "mise_config", "lock_config",
    "cached_image", "config_hash", "provision_status", "auto_provision", "created_at", "updated_at",
    "agent_memory_mb", "agent_cpus", "agent_pids",
}  # fmt: skip
MISE = '{"tools": {"node": "22"}}'


def create(api: Api, **fields: Any) -> Any:
    return api.mona.post("/crews", {"name": "New", "slug": "new", **fields})


def patch(api: Api, cast: Cast, **fields: Any) -> Any:
    return api.mona.patch(f"/crews/{cast.crew.pk}", fields)


def created(api: Api, **fields: Any) -> dict[str, Any]:
    answer = create(api, **fields)
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def patched(api: Api, cast: Cast, **fields: Any) -> dict[str, Any]:
    answer = patch(api, cast, **fields)
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def test_name_and_slug_are_enough(api: Api) -> None:
    body = created(api)
    assert set(body) == FIELDS | {"warnings"}
    assert body["id"].startswith("crw_")
    assert (body["devcontainer_config"], body["config_hash"]) == (None, None)
    assert (body["provision_status"], body["cached_image"]) == ("idle", None)
    assert (body["runtime_image"], body["mise_config"], body["warnings"]) == (None, None, [])
    assert body["auto_provision"] is False


def test_times_are_utc_with_z(api: Api) -> None:
    body = created(api)
    assert body["created_at"].endswith("Z")
    assert body["updated_at"].endswith("Z")


@pytest.mark.parametrize(
    "text",
    [
        CONFIG,
        ' \r\n\t{"image":"debian:sid"}\r\n ',
        '{"image": "debian:sid", "name": "größe \U0001f680 \u2028"}\n\n',
        '// c\n{"image": "debian:sid", /* d */}\n',
    ],
)
def test_a_text_is_kept_byte_for_byte(text: str, api: Api) -> None:
    made = created(api, devcontainer_config=text)
    assert made["devcontainer_config"] == text
    read = api.vera.get(f"/crews/{made['id']}").json()
    status = api.vera.get(f"/crews/{made['id']}/provision").json()
    assert read["devcontainer_config"] == text == status["devcontainer_config"]


@pytest.mark.parametrize("text", [MISE, '[tools]\nnode = "22"\n'])
def test_a_mise_text_is_kept_byte_for_byte(text: str, api: Api) -> None:
    assert created(api, mise_config=text)["mise_config"] == text


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_the_empty_text_clear_a_config(nothing: str | None, api: Api, cast: Cast) -> None:
    body = patched(api, cast, devcontainer_config=nothing)
    assert (body["devcontainer_config"], body["config_hash"]) == (None, None)


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_the_empty_text_clear_a_mise_config(
    nothing: str | None, api: Api, cast: Cast
) -> None:
    patched(api, cast, mise_config=MISE)
    body = patched(api, cast, mise_config=nothing)
    assert body["mise_config"] is None
    assert body["config_hash"] == cast.crew.config_hash


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_the_empty_text_clear_a_runtime_image(
    nothing: str | None, api: Api, cast: Cast
) -> None:
    patched(api, cast, runtime_image="debian:sid")
    assert patched(api, cast, runtime_image=nothing)["runtime_image"] is None


def test_a_mise_config_alone_starts_from_the_default_image(api: Api) -> None:
    body = created(api, mise_config=MISE)
    assert json.loads(body["devcontainer_config"]) == {"image": "debian:bookworm-slim"}
    assert len(body["config_hash"]) == 64


def test_a_runtime_image_alone_becomes_the_config(api: Api) -> None:
    body = created(api, runtime_image="debian:sid")
    assert json.loads(body["devcontainer_config"]) == {"image": "debian:sid"}
    assert body["config_hash"]


def test_clearing_the_config_of_a_crew_with_mise_brings_the_default_back(
    api: Api, cast: Cast
) -> None:
    patched(api, cast, mise_config=MISE)
    body = patched(api, cast, devcontainer_config=None)
    assert json.loads(body["devcontainer_config"]) == {"image": "debian:bookworm-slim"}


def test_the_runtime_image_wins_over_the_configs(api: Api) -> None:
    config = '{"image": "debian:trixie"}'
    both = created(api, devcontainer_config=config, runtime_image="debian:sid")
    assert both["devcontainer_config"] == config
    same = created(api, slug="same", devcontainer_config='{"image": "debian:sid"}')
    assert same["config_hash"] == both["config_hash"]


def test_another_meaning_empties_the_cached_image(
    api: Api, cast: Cast, cached: CachedImage
) -> None:
    body = patched(api, cast, devcontainer_config='{"image": "debian:sid"}')
    assert body["cached_image"] is None
    assert body["config_hash"] != cast.crew.config_hash
    assert Crew.objects.get(pk=cast.crew.pk).cached_image is None


@pytest.mark.parametrize(
    "text",
    [
        '{"image":"debian:bookworm-slim"}',
        '{"name": "x", "image": "debian:bookworm-slim", "customizations": {"a": 1}}',
        '{"image": "debian:bookworm-slim", "features": null}',
        '{"image": "debian:bookworm-slim", "features": {}}',
        '{"image": "debian:bookworm-slim", "postStartCommand": "date", "init": true}',
        '{"image": "debian:bookworm-slim", "remoteEnv": {"A": "b"}, "unknownKey": 1}',
        '{"image": "debian:bookworm-slim", "mounts": ["type=volume,source=v,target=/v"]}',
    ],
)
def test_another_text_of_the_same_meaning_keeps_hash_and_image(
    text: str, api: Api, cast: Cast, cached: CachedImage
) -> None:
    body = patched(api, cast, devcontainer_config=text)
    assert body["config_hash"] == cast.crew.config_hash
    assert body["cached_image"] == cached.tag


@pytest.mark.parametrize(
    "change",
    [
        {"image": "debian:sid"},
        {"containerEnv": {"A": "1"}},
        {"onCreateCommand": "true"},
        {"updateContentCommand": "true"},
        {"postCreateCommand": "true"},
        {"features": {"ghcr.io/devcontainers/features/node:1": {}}},
        {"mise": {"tools": {"node": "22"}}},
    ],
)
def test_what_shapes_the_image_changes_the_hash(
    change: dict[str, Any], api: Api, cast: Cast
) -> None:
    config = {"image": "debian:bookworm-slim", **change}
    body = patched(api, cast, devcontainer_config=json.dumps(config))
    assert body["config_hash"] != cast.crew.config_hash


def test_fields_that_are_not_named_stay(api: Api, cast: Cast) -> None:
    body = patched(api, cast, name="Other", auto_provision=True)
    assert (body["name"], body["auto_provision"]) == ("Other", True)
    assert (body["slug"], body["devcontainer_config"]) == ("backend", CONFIG)


def test_what_has_no_effect_is_stored_and_answered(api: Api, cast: Cast) -> None:
    text = '{"image": "debian:sid", "forwardPorts": [1], "remoteUser": "vscode"}'
    body = patched(api, cast, devcontainer_config=text)
    assert body["devcontainer_config"] == text
    assert {w["path"] for w in body["warnings"]} == {"forwardPorts", "remoteUser"}
    assert all(set(w) == {"path", "code", "message"} for w in body["warnings"])


def test_machine_fields_cannot_be_written(api: Api, cast: Cast) -> None:
    body = patched(api, cast, config_hash="f" * 64, cached_image="crewship-cache:x", id="crw_x")
    assert body["config_hash"] == cast.crew.config_hash
    assert (body["id"], body["cached_image"]) == (cast.crew.pk, None)


def test_all_problems_come_at_once(api: Api) -> None:
    text = json.dumps(
        {
            "image": "10.0.0.1/x",
            "features": {"ghcr.io/evil/features/x:1": {}},
            "privileged": True,
            "containerEnv": {"1X": "a"},
        }
    )
    body = problem(
        create(api, slug="status", devcontainer_config=text, mise_config='{"tools": []}'), 400
    )
    paths = {error["path"] for error in body["errors"]}
    assert {"slug", "image", "features.ghcr.io/evil/features/x:1", "privileged"} <= paths
    assert {"containerEnv.1X"} < paths
    assert any("tools" in path for path in paths)
    assert all({"path", "code", "message"} <= set(error) for error in body["errors"])
    assert not Crew.objects.filter(name="New").exists()


def test_a_syntax_error_has_line_and_column(api: Api) -> None:
    body = problem(create(api, devcontainer_config='{\n  "image": "debian"\n  "x": 1\n}'), 400)
    (error,) = body["errors"]
    assert (error["path"], error["line"], error["column"]) == ("devcontainer_config", 3, 3)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[]", "wrong_type"),
        ('{"image": "debian", "build": {"dockerfile": "D"}}', "build_refused"),
        ('{"dockerFile": "D"}', "build_refused"),
        ('{"dockerComposeFile": "D"}', "build_refused"),
        ('{"features": {"ghcr.io/evil/features/x:1": {}}}', "publisher_not_allowed"),
    ],
)
def test_a_config_that_cannot_be_is_refused_by_code(text: str, code: str, api: Api) -> None:
    body = problem(create(api, devcontainer_config=text), 400)
    assert [error["code"] for error in body["errors"]] == [code]


@pytest.mark.parametrize(
    ("field", "size"), [("devcontainer_config", 100 * 1024), ("mise_config", 10 * 1024)]
)
def test_a_text_above_its_limit_is_refused(field: str, size: int, api: Api) -> None:
    small = "{}" if field == "devcontainer_config" else MISE
    assert create(api, **{field: small + " " * (size - len(small))}).status_code == 201
    body = problem(create(api, slug="big", **{field: small + " " * (size - len(small) + 1)}), 400)
    assert [error["code"] for error in body["errors"]] == ["too_large"]


def test_the_limit_counts_bytes_not_characters(api: Api) -> None:
    problem(create(api, devcontainer_config='{"name": "' + "ä" * 60_000 + '"}'), 400)


def test_mise_in_both_places_is_refused(api: Api) -> None:
    config = '{"mise": {"tools": {"node": "22"}}}'
    body = problem(create(api, devcontainer_config=config, mise_config=MISE), 400)
    assert [error["code"] for error in body["errors"]] == ["mise_twice"]


def test_the_problem_of_two_saves_apart_is_seen(api: Api, cast: Cast) -> None:
    patched(api, cast, devcontainer_config='{"mise": {"tools": {"node": "22"}}}')
    body = problem(patch(api, cast, mise_config=MISE), 400)
    assert [error["code"] for error in body["errors"]] == ["mise_twice"]


@pytest.mark.parametrize("slug", ["ab", "0a", "a" * 50, "a-b_c"])
def test_a_slug_of_the_pattern_is_taken(slug: str, api: Api) -> None:
    assert created(api, slug=slug)["slug"] == slug


@pytest.mark.parametrize(
    "slug", ["a", "", "a" * 51, "-ab", "_ab", "Ab", "a b", "a.b", "ab\n", "äb", "status", "current"]
)
def test_another_slug_is_refused(slug: str, api: Api) -> None:
    body = problem(create(api, slug=slug), 400)
    assert {error["path"] for error in body["errors"]} == {"slug"}


def test_a_slug_is_unique_in_its_workspace_only(api: Api) -> None:
    assert created(api, slug="strange")["slug"] == "strange"
    body = problem(create(api, slug="backend"), 400)
    assert [error["code"] for error in body["errors"]] == ["slug_taken"]


@pytest.mark.parametrize("missing", ["name", "slug"])
def test_name_and_slug_are_needed(missing: str, api: Api) -> None:
    fields = {"name": "New", "slug": "new"}
    del fields[missing]
    body = problem(api.mona.post("/crews", fields), 400)
    assert [error["path"] for error in body["errors"]] == [missing]


@pytest.mark.parametrize("body", [[], "text", 1, None, [{"name": "x", "slug": "xy"}]])
def test_a_body_that_is_no_object_is_refused(body: Any, api: Api) -> None:
    problem(api.mona.generic("POST", "/crews", json.dumps(body), "application/json"), 400)


@pytest.mark.parametrize("field", ["name", "slug", "runtime_image", "devcontainer_config"])
@pytest.mark.parametrize("value", [{"a": 1}, ["x"], True])
def test_a_text_field_takes_text_only(field: str, value: Any, api: Api) -> None:
    body = problem(create(api, **{field: value}), 400)
    assert {error["path"] for error in body["errors"]} == {field}


@pytest.mark.parametrize("field", ["name", "devcontainer_config", "mise_config", "runtime_image"])
def test_nul_is_refused(field: str, api: Api) -> None:
    problem(create(api, **{field: '{"a": "\0"}'}), 400)


@pytest.mark.parametrize("name", ["a\x07b", "a\nb", "a\u202eb", "a\u200bb", "\x1b[31mred"])
def test_a_name_has_no_characters_that_nobody_sees(name: str, api: Api) -> None:
    answer = api.mona.post("/crews", {"name": name, "slug": "new"})
    (error,) = problem(answer, 400, "config_invalid")["errors"]
    assert (error["path"], error["code"]) == ("name", "control_character")


@pytest.mark.parametrize("name", ["👩\u200d🚀 crew", "می\u200cخواهم", "Größe 🚢️"])
def test_a_name_may_be_written_as_people_write(name: str, api: Api) -> None:
    assert api.mona.post("/crews", {"name": name, "slug": "new"}).json()["name"] == name


def test_a_wrong_runtime_image_is_said_once(api: Api) -> None:
    answer = api.mona.post("/crews", {"name": "N", "slug": "new", "runtime_image": "NOT an image"})
    (error,) = problem(answer, 400, "config_invalid")["errors"]
    assert (error["path"], error["code"]) == ("runtime_image", "image_invalid")
