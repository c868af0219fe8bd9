"""`crewship plan --metadata`: the reference's cases, errors and promises of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crewship.cli.main import app
from crewship.devcontainer.canonical import canonical
from crewship.devcontainer.config import read_crew
from crewship.devcontainer.hashing import config_hash
from tests.devcontainer.examples import OURS, POLICY, load_cases

ORDER = load_cases("feature_order")
OPTIONS = load_cases("option_env")
FIG = f"{OURS}/fig:1"
Plan = Callable[..., tuple[int, Any]]


@pytest.fixture(autouse=True)
def _publishers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWSHIP_FEATURE_PUBLISHERS", "+registry.example")


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[str]]:
    """``files(config={…}, mise="…")``: the options that name files with these contents."""

    def write(**contents: object) -> list[str]:
        arguments = []
        for option, content in contents.items():
            file = tmp_path / f"{option}.json"
            if isinstance(content, bytes):
                file.write_bytes(content)
            else:
                file.write_text(content if isinstance(content, str) else json.dumps(content))
            arguments += [f"--{option}", str(file)]
        return arguments

    return write


@pytest.fixture
def plan(files: Callable[..., list[str]]) -> Plan:
    """Exit code and what was printed, which must be JSON and nothing else."""

    def run(config: object, metadata: object = None, *more: str, **contents: object) -> Any:
        arguments = files(config=config, metadata=metadata or {}, **contents)
        result = CliRunner().invoke(app, ["plan", *arguments, "--json", *more])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result.exit_code, json.loads(result.output)

    return run


def config_of(case: Mapping[str, Any]) -> dict[str, Any]:
    return {"features": case["features"], "overrideFeatureInstallOrder": case["override"]}


@pytest.mark.parametrize("case", [c for c in ORDER if not c["error"]], ids=lambda c: c["name"])
def test_order_is_the_references(case: Any, plan: Plan) -> None:
    code, out = plan(config_of(case), case["metadata"])
    assert (code, out["error"]) == (0, None)
    assert [f["ref"] for f in out["features"]] == case["expected"]
    assert [f["options"] for f in out["features"]] == case["expected_options"]


@pytest.mark.parametrize("case", [c for c in ORDER if c["error"]], ids=lambda c: c["name"])
def test_impossible_order_is_an_error(case: Any, plan: Plan) -> None:
    code, out = plan(config_of(case), case["metadata"])
    assert (code, set(out)) == (1, {"error"})
    assert set(out["error"]) == {"code", "message", "path"}
    assert out["error"]["code"] == case["error"]
    assert out["error"]["path"].startswith("features.")


@pytest.mark.parametrize(
    "case", [c for c in OPTIONS if c["ours"] != "refuse"], ids=lambda c: c["name"]
)
def test_options_become_the_environment(case: Any, plan: Plan) -> None:
    code, out = plan({"features": {FIG: case["value"]}}, {FIG: {"options": case["options"]}})
    assert code == 0
    [feature] = out["features"]
    assert (feature["env"], feature["options"]) == (case["env"], case["value"])
    assert bool(out["warnings"]) == (case["ours"] == "pass with warning")


@pytest.mark.parametrize(
    "case", [c for c in OPTIONS if c["ours"] == "refuse"], ids=lambda c: c["name"]
)
def test_refused_options_are_an_error_with_their_path(case: Any, plan: Plan) -> None:
    code, out = plan({"features": {FIG: case["value"]}}, {FIG: {"options": case["options"]}})
    option = next(iter(case["options"]))
    assert code == 1
    assert (out["error"]["code"], out["error"]["path"]) == (
        "option_invalid",
        f"features.{FIG}.{option}",
    )


def test_the_output_has_the_fields_of_the_contract(plan: Plan) -> None:
    code, out = plan({"image": "debian:12", "features": {FIG: "2"}, "x": 1}, {FIG: {}})
    assert code == 0
    assert list(out) == ["config_hash", "base", "features", "layers", "warnings", "error"]
    assert out["base"] == "debian:12"
    assert [list(f) for f in out["features"]] == [["ref", "options", "env"]]
    assert [list(layer) for layer in out["layers"]] == [["kind", "label", "key", "present"]] * 3
    assert [layer["kind"] for layer in out["layers"]] == ["user", "feature", "final"]
    assert {(layer["key"], layer["present"]) for layer in out["layers"]} == {(None, None)}
    assert {"path": "x", "code": "key_ignored"}.items() <= out["warnings"][0].items()


def test_the_hash_is_the_servers(plan: Plan) -> None:
    text, mise = '{"features": {}, "containerEnv": {"A": "1"}}', '{"tools": {"node": "22"}}'
    _, out = plan(text, None, "--image", "alpine:3", mise=mise)
    spec = read_crew(text, mise, "alpine:3", POLICY)
    assert (out["config_hash"], out["base"]) == (config_hash(spec), "alpine:3")
    assert out["layers"][1]["label"] == "mise: node@22"


def test_a_toml_mise_config_will_do(plan: Plan) -> None:
    _, out = plan("{}", None, mise='[tools]\nnode = "22"\n')
    assert out["layers"][1]["label"] == "mise: node@22"


def test_a_lock_is_in_the_hash(plan: Plan) -> None:
    digest = f"sha256:{'a' * 64}"
    entry = {"resolved": f"{OURS}/fig@{digest}", "integrity": digest, "version": "1"}
    config: dict[str, Any] = {"features": {FIG: {}}}
    lock = {"features": {FIG: entry}}
    spec = read_crew(json.dumps(config), None, None, POLICY, json.dumps(lock))
    _, out = plan(config, {FIG: {}}, lock=lock)
    assert out["config_hash"] == config_hash(spec) != plan(config, {FIG: {}})[1]["config_hash"]


@pytest.mark.parametrize(
    ("config", "code", "path"),
    [
        ("", "syntax", "devcontainer_config"),
        ("  // nothing\n", "syntax", "devcontainer_config"),
        ("{", "syntax", "devcontainer_config"),
        (b"\xff{}", "syntax", "devcontainer_config"),
        ("[]", "wrong_type", "devcontainer_config"),
        ({"features": {"./x": {}}}, "invalid_ref", "features../x"),
        (
            {"features": {"evil.example/x/y:1": {}}},
            "publisher_not_allowed",
            "features.evil.example/x/y:1",
        ),
        ({"features": {f"{OURS}/ghost:1": {}}}, "not_found", f"features.{OURS}/ghost:1"),
        ({"features": {FIG: None}}, "option_invalid", f"features.{FIG}"),
        (
            {"features": {f"{OURS}/f{n}": {} for n in range(51)}},
            "too_many_features",
            "features",
        ),
        ({"build": {}}, "build_refused", "build"),
    ],
)
def test_a_config_that_cannot_be_planned_is_an_error(
    plan: Plan, config: object, code: str, path: str
) -> None:
    exit_code, out = plan(config, {FIG: {}})
    assert (exit_code, set(out)) == (1, {"error"})
    assert (out["error"]["code"], out["error"]["path"]) == (code, path)


def test_several_problems_are_all_there(plan: Plan) -> None:
    code, out = plan({"build": {}, "privileged": True})
    assert (code, out["error"]["code"]) == (1, "build_refused")
    assert [p["code"] for p in out["errors"]] == ["build_refused", "privileged_refused"]


@pytest.mark.parametrize(
    ("contents", "path"),
    [
        ({"mise": ""}, "mise_config"),
        ({"lock": ""}, "lock_config"),
        ({"metadata": ""}, "metadata"),
        ({"metadata": {"fig": {}}}, "metadata.fig"),
    ],
)
def test_a_broken_file_beside_the_config_is_named(
    files: Callable[..., list[str]], contents: dict[str, object], path: str
) -> None:
    arguments = files(**{"config": "{}", "metadata": {}, **contents})
    result = CliRunner().invoke(app, ["plan", *arguments, "--json"])
    assert (result.exit_code, json.loads(result.output)["error"]["path"]) == (1, path)


def test_a_metadata_that_cannot_be_used_is_an_error(plan: Plan) -> None:
    code, out = plan({"features": {FIG: {}}}, {FIG: {"options": 1}})
    assert (code, out["error"]["code"]) == (1, "feature_invalid")


def test_a_missing_file_is_a_mistake_of_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["plan", "--config", str(tmp_path / "no"), "--json"])
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_setting_that_cannot_be_used_is_named(
    files: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREWSHIP_BUILD_PIDS", "many")
    result = CliRunner().invoke(app, ["plan", *files(config="{}", metadata={}), "--json"])
    assert (result.exit_code, result.stderr) == (2, "")
    assert "CREWSHIP_BUILD_PIDS" in json.loads(result.stdout)["error"]["message"]


def test_the_order_of_keys_and_comments_change_nothing_but_the_text(plan: Plan) -> None:
    metadata: dict[str, Any] = {f"{OURS}/{n}:1": {} for n in "abc"}
    _, one = plan({"features": {ref: {} for ref in metadata}, "image": "debian:12"}, metadata)
    backwards: dict[str, Any] = {ref: {} for ref in reversed(metadata)}
    text = json.dumps({"image": "debian:12", "features": backwards})
    _, other = plan(f"// c\n{text}", metadata)
    assert canonical(one) == canonical(other)


def test_a_folder_stands_for_its_devcontainer_json(tmp_path: Path) -> None:
    metadata = tmp_path / "metadata.json"
    metadata.write_text("{}")
    config = tmp_path / ".devcontainer" / "devcontainer.json"
    config.parent.mkdir()
    config.write_text('{"image": "debian:sid"}')
    outputs = [
        CliRunner().invoke(
            app, ["plan", "--config", str(place), "--metadata", str(metadata), "--json"]
        )
        for place in (tmp_path, config)
    ]
    assert [result.exit_code for result in outputs] == [0, 0]
    assert outputs[0].output == outputs[1].output


def test_a_folder_without_one_says_where_it_looked(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["plan", "--config", str(tmp_path)])
    assert result.exit_code == 1
    assert "has no devcontainer.json" in result.stderr
    assert ".devcontainer/devcontainer.json" in result.stderr
