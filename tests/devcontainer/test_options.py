from __future__ import annotations

import pytest

from crewship.devcontainer.metadata import parse_feature_metadata
from crewship.devcontainer.options import env_name, option_env
from crewship.devcontainer.types import FeatureMetadata, Json
from crewship.domain.errors import ConfigInvalid
from tests.devcontainer.examples import load_cases

CASES = load_cases("option_env")


def declared(options: Json) -> FeatureMetadata:
    return parse_feature_metadata({"options": options}, "fig")


def refused(options: Json, values: Json) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        option_env(declared(options), values, "features.fig")
    assert {p.code for p in caught.value.problems} == {"option_invalid"}
    return [p.path for p in caught.value.problems]


def run(case: Json) -> tuple[Json, bool]:
    value = case["value"]
    shorthand = isinstance(value, str)
    env, warnings = option_env(
        declared(case["options"]),
        {"version": value} if shorthand else value,
        "features.fig",
        shorthand=shorthand,
    )
    return dict(env), bool(warnings)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c["ours"] != "refuse"], ids=lambda c: c["name"]
)
def test_passed_options_reach_the_script_literally(case: Json) -> None:
    assert run(case) == (case["env"], case["ours"] == "pass with warning")


@pytest.mark.parametrize(
    "case", [c for c in CASES if c["ours"] == "refuse"], ids=lambda c: c["name"]
)
def test_refused_option_is_named_by_its_path(case: Json) -> None:
    option = next(iter(case["options"]))
    assert refused(case["options"], case["value"]) == [f"features.fig.{option}"]


@pytest.mark.parametrize(
    ("option", "name"),
    [("node-gyp", "NODE_GYP"), ("my opt", "MY_OPT"), ("007bond", "_BOND"), ("42", "_"),
     ("émoji", "_MOJI"), ("go\N{ROCKET}", "GO__"), ("installTools", "INSTALLTOOLS"), ("", "")],
)  # fmt: skip
def test_variable_name_follows_the_reference(option: str, name: str) -> None:
    assert env_name(option) == name


@pytest.mark.parametrize(
    "option",
    ["home", "ld_preload", "ld-library-path", "_container_user_home", "bash_env", "env", "ifs",
     "shellopts", "ps4", "apt_config", "42", "!"],
)  # fmt: skip
def test_option_that_lands_on_a_protected_name_is_refused(option: str) -> None:
    assert refused({}, {option: "x"}) == [f"features.fig.{option}"]


def test_two_options_with_one_name_are_refused() -> None:
    options = {"my-opt": {"default": "a"}, "my.opt": {"default": "b"}}
    assert refused(options, {}) == ["features.fig.my.opt"]


def test_value_outside_a_strict_list_is_refused() -> None:
    assert refused({"v": {"type": "string", "enum": ["1"]}}, {"v": "2"}) == ["features.fig.v"]


def test_value_outside_proposals_passes() -> None:
    env, _ = option_env(declared({"v": {"proposals": ["1"]}}), {"v": "2"}, "")
    assert env == (("V", "2"),)


def test_every_bad_option_is_reported() -> None:
    options = {"a": {"type": "boolean"}, "b": {"type": "boolean"}}
    assert refused(options, {"a": "x", "b": 1}) == ["features.fig.a", "features.fig.b"]


def test_declared_options_come_first_in_their_order() -> None:
    options = {"z": {"default": "1"}, "a": {"default": "2"}, "none": {"type": "string"}}
    env, _ = option_env(declared(options), {"mine": "3", "a": "4"}, "")
    assert env == (("Z", "1"), ("A", "4"), ("MINE", "3"))


def test_value_with_nul_is_refused() -> None:
    assert refused({}, {"a": "x\0y"}) == ["features.fig.a"]


def test_name_that_bash_keeps_for_itself_is_warned_about() -> None:
    _, warnings = option_env(declared({"uid": {"default": "1001"}}), {}, "features.fig")
    assert [w.code for w in warnings] == ["option_shadowed"]
