from __future__ import annotations

import tomllib

import pytest

from crewship.devcontainer.form import (
    EditByHand,
    add_feature,
    has_mise,
    present_features,
    present_tools,
    remove_tool,
    set_option,
    set_tool,
)
from crewship.devcontainer.mise import parse_mise
from crewship.domain.errors import ConfigInvalid, InvalidFeatureRef

NODE = "ghcr.io/devcontainers/features/node"


def test_features_of_every_spelling_are_present() -> None:
    text = '{"features": {"a/b/c": "1", "a/b/d:2": true, "a/b/e": {"x": true}}}'
    assert [(f.written, f.options) for f in present_features(text)] == [
        ("a/b/c", {"version": "1"}),
        ("a/b/d:2", {}),
        ("a/b/e", {"x": True}),
    ]


@pytest.mark.parametrize("text", ["", "{}", '{"features": null}', "[]", '{"features": []}'])
def test_no_feature_is_present(text: str) -> None:
    assert present_features(text) == ()


def test_a_feature_is_added_once_whatever_its_version() -> None:
    text = add_feature("", f"{NODE}:1")
    assert add_feature(text, f"{NODE.upper()}:2") == text


def test_what_is_no_reference_is_not_added() -> None:
    with pytest.raises(InvalidFeatureRef):
        add_feature("", "node")


@pytest.mark.parametrize(
    ("given", "option", "value", "expected"),
    [
        ('"20"', "version", "22", '"22"'),
        ('"20"', "version", None, "{}"),
        ('"20"', "pnpm", None, '"20"'),
        ('"20"', "pnpm", True, '{"version":"20","pnpm":true}'),
        ("true", "pnpm", "1", '{"pnpm":"1"}'),
        ("{}", "pnpm", "1", '{"pnpm":"1"}'),
        ('{"pnpm":"1"}', "pnpm", None, "{}"),
    ],
)
def test_option_is_set_in_each_spelling(
    given: str, option: str, value: str | bool | None, expected: str
) -> None:
    text = '{"features":{"%s":%s}}'
    assert set_option(text % (NODE, given), NODE, option, value) == text % (NODE, expected)


def test_hostile_values_stay_strings() -> None:
    text = set_option(add_feature("", NODE), NODE, "version", '"}, "privileged": true // */')
    assert [f.options for f in present_features(text)] == [
        {"version": '"}, "privileged": true // */'}
    ]


def test_tools_of_a_devcontainer_config_are_below_mise() -> None:
    text = set_tool('{"mise": {"tools": {"go": "1"}}}', "node", ["22"], ("mise",))
    assert has_mise(text)
    assert present_tools(text, ("mise",)) == {"go": ("1",), "node": ("22",)}


def test_tools_of_both_syntaxes_are_present() -> None:
    assert present_tools('{"tools": {"a": "1", "b": ["1", "2"], "c": {"version": "3"}}}') == {
        "a": ("1",),
        "b": ("1", "2"),
        "c": ("3",),
    }
    assert present_tools('[tools]\na = "1"\nb = ["1", "2"]\n') == {"a": ("1",), "b": ("1", "2")}


TOML = {
    "behind the last tool": (
        '[tools]\nnode = "20" # js\n\n# end\n[env]\nA = "b"\n',
        '[tools]\nnode = "20" # js\ngo = "1.22"\n\n# end\n[env]\nA = "b"\n',
    ),
    "in the place of the old version": ('[tools]\r\ngo = "1"\r\n', '[tools]\r\ngo = "1.22"\r\n'),
    "in an empty table": ("[tools] # none\n", '[tools] # none\ngo = "1.22"\n'),
    "in a table of its own": ('[env]\nA = "b"', '[env]\nA = "b"\n[tools]\ngo = "1.22"\n'),
}


@pytest.mark.parametrize(("text", "expected"), TOML.values(), ids=TOML)
def test_a_line_of_mise_toml_is_set(text: str, expected: str) -> None:
    assert set_tool(text, "go", ["1.22"]) == expected


def test_a_line_of_mise_toml_is_removed() -> None:
    text = '[tools]\n"npm:prettier" = "3" # gone\nnode = "20" # kept\n'
    assert remove_tool(text, "npm:prettier") == '[tools]\nnode = "20" # kept\n'


@pytest.mark.parametrize(
    "text",
    [
        'tools.node = "20"\n',
        'tools = {node = "20"}\n',
        '[tools.node]\nversion = "20"\n',
        '[tools]\nnode = [\n  "20",\n]\n',
        '[env]\nA = """\n[tools]\n"""\n',
    ],
)
def test_a_mise_toml_that_lines_cannot_tell_is_left_to_its_author(text: str) -> None:
    with pytest.raises(EditByHand) as caught:
        set_tool(text, "node", ["22"])
    assert 'node = "22"' in caught.value.message


def test_a_tool_of_any_name_is_written_so_that_mise_reads_it() -> None:
    text = set_tool("[tools]\n", "ubi:BurntSushi/ripgrep[exe=rg]", ["1", "2"])
    assert tomllib.loads(text) == {"tools": {"ubi:BurntSushi/ripgrep[exe=rg]": ["1", "2"]}}
    assert parse_mise(text).tools[0].versions == ("1", "2")


def test_a_broken_text_is_refused() -> None:
    for text in ("[tools", '{"tools": '):
        with pytest.raises(ConfigInvalid):
            set_tool(text, "node", ["22"])
