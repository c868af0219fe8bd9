from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewship.devcontainer import hashing
from crewship.devcontainer.config import default_devcontainer_text, read_crew
from crewship.devcontainer.hashing import config_hash
from crewship.devcontainer.types import Json
from tests.devcontainer.examples import OURS, POLICY, spec_of

CONFIG: dict[str, Json] = {
    "image": "debian:bookworm-slim",
    "features": {f"{OURS}/a:1": {"x": "1", "y": True}, f"{OURS}/b:2": "3.9"},
    "overrideFeatureInstallOrder": [f"{OURS}/b", f"{OURS}/a"],
    "containerEnv": {"B": "2", "A": "1"},
    "onCreateCommand": {"one": "a", "two": ["b", "c"]},
    "postCreateCommand": "make",
    "mise": {"tools": {"node": ["22", "20"], "go": "1.23"}, "env": {"X": "1", "Y": "2"}},
}


def hash_of(config: Json, mise: str | None = None) -> str:
    return config_hash(spec_of(config, mise))


def test_hash_is_sixty_four_hex_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", hash_of(CONFIG))


@pytest.mark.parametrize(
    "change",
    [
        {"image": "debian:bookworm"},
        {"features": {f"{OURS}/a:1": {"x": "1", "y": True}}},
        {"features": {f"{OURS}/a:1": {"x": "2", "y": True}, f"{OURS}/b:2": "3.9"}},
        {"features": {f"{OURS}/a:1": {"x": "1", "y": "true"}, f"{OURS}/b:2": "3.9"}},
        {"features": {f"{OURS}/a:2": {"x": "1", "y": True}, f"{OURS}/b:2": "3.9"}},
        {"overrideFeatureInstallOrder": [f"{OURS}/a", f"{OURS}/b"]},
        {"containerEnv": {"B": "1", "A": "2"}},
        {"onCreateCommand": {"one": "a", "two": ["b c"]}},
        {"onCreateCommand": None, "updateContentCommand": CONFIG["onCreateCommand"]},
        {"postCreateCommand": ["make"]},
        {"mise": {"tools": {"node": ["20", "22"], "go": "1.23"}, "env": {"X": "1", "Y": "2"}}},
        {"mise": {"tools": {"node": ["22", "20"], "go": "1.23"}, "env": {"X": "1", "Y": "3"}}},
    ],
)
def test_what_shapes_the_image_changes_the_hash(change: Json) -> None:
    assert hash_of({**CONFIG, **change}) != hash_of(CONFIG)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "x"},
        {"customizations": {"a": 1}},
        {"unknownKey": [1]},
        {"postStartCommand": "run"},
        {"mounts": ["source=a,target=/a"]},
        {"init": True},
        {"remoteEnv": {"A": "b"}},
        {"remoteUser": "vscode"},
        {"capAdd": ["NET_BIND_SERVICE"]},
        {"features": {f"{OURS}/b:2": {"version": "3.9"}, f"{OURS}/A:1": {"y": True, "x": "1"}}},
        {"containerEnv": {"A": "1", "B": "2"}},
        {"onCreateCommand": {"two": ["b", "c"], "one": "a"}},
        {"image": "docker.io/library/debian:bookworm-slim"},
        {"mise": {"env": {"Y": "2", "X": "1"}, "tools": {"go": "1.23", "node": ["22", "20"]}}},
    ],
)
def test_what_does_not_shape_the_image_keeps_the_hash(change: Json) -> None:
    assert hash_of({**CONFIG, **change}) == hash_of(CONFIG)


def test_no_features_in_any_spelling_have_one_hash() -> None:
    spellings: list[Json] = [{}, {"features": None}, {"features": {}}]
    assert len({hash_of(config) for config in spellings}) == 1


def test_mise_config_and_mise_inside_have_one_hash() -> None:
    outside = {key: value for key, value in CONFIG.items() if key != "mise"}
    assert hash_of(outside, json.dumps(CONFIG["mise"])) == hash_of(CONFIG)


def test_default_text_has_the_hash_of_no_text() -> None:
    mise = '{"tools": {"node": "22"}}'
    stored = read_crew(default_devcontainer_text("alpine:3", POLICY), mise, "alpine:3", POLICY)
    assert config_hash(stored) == config_hash(read_crew(None, mise, "alpine:3", POLICY))


def test_runtime_image_decides_the_base() -> None:
    one = read_crew('{"image": "debian:12"}', None, "alpine:3", POLICY)
    other = read_crew('{"image": "debian:11"}', None, "alpine:3", POLICY)
    assert config_hash(one) == config_hash(other)


def test_scope_keeps_workspaces_apart() -> None:
    spec = spec_of(CONFIG)
    assert len({config_hash(spec), config_hash(spec, "wsp_a"), config_hash(spec, "wsp_b")}) == 3


def test_generator_version_is_in_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = hash_of(CONFIG)
    monkeypatch.setattr(hashing, "GENERATOR", "another")
    assert hash_of(CONFIG) != before


def shuffled(value: Json, rng: random.Random) -> Json:
    """The same value with the keys of its objects in another order; arrays keep theirs."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, rng)) for key, item in value.items()]
        rng.shuffle(items)
        return dict(items)
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


@given(
    st.randoms(use_true_random=False),
    st.sampled_from([None, 1, "\t"]),
    st.sampled_from(["", " ", "// note\n", "/* note */", "\r\n"]),
)
def test_key_order_white_space_and_comments_keep_the_hash(
    rng: random.Random, indent: int | str | None, noise: str
) -> None:
    text = json.dumps(shuffled(CONFIG, rng), indent=indent)
    text = text.replace("{", "{" + noise).replace("}", noise + "}")
    assert hash_of(noise + text + noise) == hash_of(CONFIG)
