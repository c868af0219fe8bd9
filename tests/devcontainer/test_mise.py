from __future__ import annotations

import json

import pytest

from crewship.devcontainer.mise import parse_mise
from crewship.devcontainer.types import Json, MiseTool
from crewship.domain.errors import ConfigInvalid


def codes(text: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        parse_mise(text)
    return [f"{p.code} {p.path}" for p in caught.value.problems]


def tools(value: Json) -> str:
    return json.dumps({"tools": value})


def test_json_and_toml_say_the_same() -> None:
    toml = '[tools]\nnode = ["22", "20"]\n"npm:prettier" = "3"\n[env]\nB = "2"\nA = "1"\n'
    text = '{"env": {"A": "1", "B": "2"}, "tools": {"npm:prettier": "3", "node": ["22", "20"]}}'
    assert parse_mise(toml) == parse_mise(text)


@pytest.mark.parametrize(
    "name",
    ["node", "npm:prettier", "npm:@antfu/ni", "pipx:black", "github:owner/repo", "core:go",
     "ubi:BurntSushi/ripgrep[exe=rg]", "go:github.com/x/y/cmd/z", "cargo:eza", "kubectl-ai",
     "pipx:git+https://github.com/psf/black.git", "aqua:cli/cli", "vfox:version-fox/vfox-nodejs"],
)  # fmt: skip
def test_tool_name_as_mise_writes_it_is_accepted(name: str) -> None:
    assert parse_mise(tools({name: "1"})).tools == (MiseTool(name, ("1",)),)


@pytest.mark.parametrize(
    "name", ["", "-x", "a b", "node@22", "npm:", "npm:-x", "a;b", "$(id)", "a\nb", "x" * 201, "é"]
)
def test_other_tool_name_is_refused(name: str) -> None:
    assert codes(tools({name: "1"})) == [f"mise_tool_invalid mise_config.tools.{name}"]


@pytest.mark.parametrize(
    "version",
    ["22", "22.11.0", "lts", "latest", "prefix:1.2", "ref:main", "ref:feature/x", "tag:v1", "",
     "sub-1:latest", "path:/opt/node", "temurin-21.0.2+13", "lts/hydrogen", "system", "3.13t"],
)  # fmt: skip
def test_version_as_mise_reads_it_is_accepted(version: str) -> None:
    assert parse_mise(tools({"node": version})).tools[0].versions == (version,)


@pytest.mark.parametrize("version", ["-1", "a b", "1;id", "$(id)", "1\n", "evil:x", "x" * 129])
def test_other_version_is_refused(version: str) -> None:
    assert codes(tools({"node": version})) == ["mise_version_invalid mise_config.tools.node"]


def test_whole_number_is_a_version() -> None:
    assert parse_mise(tools({"node": 22})).tools[0].versions == ("22",)


def test_fraction_is_refused_because_a_zero_may_be_lost() -> None:
    assert codes("[tools]\npython = 3.10\n") == ["mise_version_invalid mise_config.tools.python"]


def test_versions_keep_their_order_once_each() -> None:
    assert parse_mise(tools({"node": ["22", "20", "22"]})).tools[0].versions == ("22", "20")


def test_long_form_with_a_version_alone_is_read() -> None:
    assert parse_mise('[tools]\nnode = {version = "22"}\n').tools[0].versions == ("22",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["syntax mise_config"]),
        ("{", ["syntax mise_config"]),
        ("tools = ", ["syntax mise_config"]),
        ("[]", ["syntax mise_config"]),
        ('{"tools": []}', ["wrong_type mise_config.tools"]),
        ('{"tools": {"node": []}}', ["mise_version_invalid mise_config.tools.node"]),
        ('{"tools": {"node": null}}', ["wrong_type mise_config.tools.node"]),
        ('{"tools": {"node": true}}', ["wrong_type mise_config.tools.node"]),
        ('{"tools": {"a": "1", "a": "2"}}', ["duplicate_key mise_config.tools.a"]),
        ('{"env": {"A": true}}', ["wrong_type mise_config.env.A"]),
        ('{"env": {"A-B": ""}}', ["env_name_invalid mise_config.env.A-B"]),
        ('[env]\n_.file = ".env"', ["env_name_invalid mise_config.env._",
                                    "wrong_type mise_config.env._"]),
        ('[env]\nA = "\\u0000"', ["wrong_type mise_config.env.A"]),
        ("x = " + "[" * 4000, ["too_deep mise_config"]),
        ("x = " + "9" * 5000, ["syntax mise_config"]),
        ("# \ud800", ["syntax mise_config"]),
        ("#" * 10241, ["too_large mise_config"]),
        (tools({f"t{n}": "1" for n in range(33)}), ["mise_too_many_tools mise_config.tools"]),
    ],
)  # fmt: skip
def test_broken_config_is_refused(text: str, expected: list[str]) -> None:
    assert codes(text) == expected


def test_toml_error_has_line_and_column() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        parse_mise('[tools]\nnode = "22\n')
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (2, 11)


def test_thirty_two_tools_are_possible() -> None:
    assert len(parse_mise(tools({f"t{n}": "1" for n in range(32)})).tools) == 32


def test_all_problems_come_at_once() -> None:
    assert len(codes('{"tools": {"a b": "1", "node": "x y"}, "env": {"1": ""}}')) == 3
