"""200 commented configs, one form edit each: nothing but the edit differs."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from crewship.devcontainer import jsonc
from crewship.devcontainer.form import (
    add_feature,
    present_features,
    remove_feature,
    remove_tool,
    set_image,
    set_option,
    set_tool,
)
from crewship.devcontainer.places import BOM, read_places
from tests.devcontainer.commented import Writer, some_config

Json = Any
SEEDS = range(200)
NEW = "ghcr.io/devcontainers/features/python:1"
_TOKENS = re.compile(r'("(?:[^"\\]|\\.)*")|(//[^\r\n]*|/\*.*?\*/)', re.DOTALL)


def written(seed: int) -> tuple[str, Json]:
    rng = Random(seed)  # noqa: S311  # test data
    value = some_config(rng)
    text = Writer(rng).document(value)
    assert jsonc.parse(text) == value
    return text, value


def choice(seed: int, items: Any) -> Any:
    return items[seed % len(items)]


def comments(text: str) -> list[str]:
    return [match[2] for match in _TOKENS.finditer(text) if match[2]]


def check(text: str, changed: str, expected: Json, place: tuple[str, ...]) -> None:
    """``changed`` says ``expected``, in this order, and is ``text`` outside of ``place``."""
    after = jsonc.parse(changed)
    assert after == expected
    assert list(after) == list(expected)
    assert changed.startswith(BOM) == text.startswith(BOM)
    assert ("\r\n" in changed) == ("\r\n" in text) or "\n" not in text
    if "\r\n" in text:
        assert "\n" not in changed.replace("\r\n", "")
    begin, end = around(text, place)
    assert changed.startswith(text[:begin])
    assert changed.endswith(text[end:])


def around(text: str, place: tuple[str, ...]) -> tuple[int, int]:
    """What an edit of ``place`` may touch: in the innermost object that is there on the way, what
    lies between the member before it and the one behind it."""
    root = read_places(text)
    assert root
    node, key = root, place[0]
    for following in place[1:]:
        child = node.child(key)
        if child is None or not isinstance(child.value, dict):
            break
        node, key = child, following
    keys = [child.key for child in node.children]
    index = keys.index(key) if key in keys else len(keys)
    begin = node.children[index - 1].end if index else node.start + 1
    behind = node.children[index + 1 :]
    offset = len(text) - len(text.removeprefix(BOM))
    return begin + offset, (behind[0].key_start if behind else node.end - 1) + offset


@pytest.mark.parametrize("seed", SEEDS)
def test_a_feature_is_added(seed: int) -> None:
    text, value = written(seed)
    changed = add_feature(text, NEW)
    expected = {**value, "features": {**(value.get("features") or {}), NEW: {}}}
    check(text, changed, expected, ("features", NEW))
    assert comments(changed) == comments(text)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_added_feature_is_removed_again(seed: int) -> None:
    text, value = written(seed)
    added = add_feature(text, NEW)
    changed = remove_feature(added, NEW)
    check(added, changed, {**value, "features": value.get("features") or {}}, ("features", NEW))
    assert comments(changed) == comments(text)
    if value.get("features"):
        assert changed == text


@pytest.mark.parametrize("seed", SEEDS)
def test_a_feature_is_removed(seed: int) -> None:
    text, value = written(seed)
    if not value.get("features"):
        text = add_feature(text, NEW)
        value = jsonc.parse(text)
    ref = choice(seed, list(value["features"]))
    changed = remove_feature(text, ref)
    rest = {name: given for name, given in value["features"].items() if name != ref}
    check(text, changed, {**value, "features": rest}, ("features", ref))
    assert is_part(comments(changed), comments(text))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("new", ["18", True])
def test_an_option_is_changed(seed: int, new: str | bool) -> None:
    text, value = written(seed)
    if not value.get("features"):
        text = add_feature(text, NEW)
        value = jsonc.parse(text)
    feature = choice(seed, present_features(text))
    name = "version" if new == "18" else "extra"
    changed = set_option(text, feature.written, name, new)
    options = {**feature.options, name: new}
    was_version = isinstance(value["features"][feature.written], str) and name == "version"
    features = {**value["features"], feature.written: new if was_version else options}
    check(text, changed, {**value, "features": features}, ("features", feature.written, name))
    assert is_part(comments(changed), comments(text))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_image_is_set(seed: int) -> None:
    text, value = written(seed)
    changed = set_image(text, "debian:sid")
    check(text, changed, {**value, "image": "debian:sid"}, ("image",))
    assert comments(changed) == comments(text)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("tool", ["node", "go"])
def test_a_tool_is_set(seed: int, tool: str) -> None:
    text, value = written(seed)
    changed = set_tool(text, tool, ["24"], ("mise",))
    mise = dict(value.get("mise") or {})
    mise["tools"] = {**mise.get("tools", {}), tool: "24"}
    check(text, changed, {**value, "mise": mise}, ("mise", "tools", tool))
    assert is_part(comments(changed), comments(text))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tool_is_removed(seed: int) -> None:
    text, value = written(seed)
    changed = remove_tool(text, "node", ("mise",))
    if "mise" not in value:
        assert changed == text
        return
    tools = {"npm:prettier": ["3", "2"]}
    check(
        text,
        changed,
        {**value, "mise": {**value["mise"], "tools": tools}},
        ("mise", "tools", "node"),
    )
    assert is_part(comments(changed), comments(text))


EDITS: tuple[Callable[[str], str], ...] = (
    lambda text: add_feature(text, NEW),
    lambda text: set_option(text, NEW, "version", "3.12"),
    lambda text: set_tool(text, "go", ["1.22", "1.21"], ("mise",)),
    lambda text: set_image(text, "debian:sid"),
    lambda text: set_option(text, NEW, "version", None),
    lambda text: remove_tool(text, "go", ("mise",)),
    lambda text: remove_feature(text, NEW),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_many_edits_lose_no_comment(seed: int) -> None:
    text, value = written(seed)
    changed = text
    for edit in EDITS:
        changed = edit(changed)
    assert jsonc.parse(changed).get("containerEnv") == value.get("containerEnv")
    assert comments(changed) == comments(text)


def is_part(some: list[str], every: list[str]) -> bool:
    """Whether ``some`` is ``every`` with a stretch left out."""
    pairs = enumerate(zip(some, every, strict=False))
    begin = next((i for i, (one, other) in pairs if one != other), len(some))
    rest = some[begin:]
    return not rest or every[-len(rest) :] == rest
