from __future__ import annotations

import pytest

from crewship.devcontainer.metadata import parse_feature_metadata
from crewship.devcontainer.types import HookName, Json
from crewship.domain.errors import FeatureInvalid


def nested(levels: int) -> Json:
    value: Json = "x"
    for _ in range(levels):
        value = [value]
    return value


def test_whole_metadata_is_read() -> None:
    metadata = parse_feature_metadata(
        {
            "id": "fig",
            "version": "1.2.3",
            "options": {"level": {"type": "string", "default": "1", "enum": ["1", "2"]}},
            "dependsOn": {"ghcr.io/o/f/x": "2"},
            "installsAfter": ["ghcr.io/o/f/y"],
            "legacyIds": ["ficus"],
            "currentId": "fig",
            "containerEnv": {"A": "x", "N": 1, "B": True},
            "postCreateCommand": "echo",
            "mounts": ["source=a,target=/a"],
            "capAdd": ["SYS_PTRACE"],
            "privileged": True,
        },
        "fig",
    )
    assert metadata.container_env == (("A", "x"), ("N", "1"), ("B", "true"))
    assert metadata.options[0].enum == ("1", "2")
    assert metadata.depends_on == (("ghcr.io/o/f/x", "2"),)
    assert metadata.hooks[0].name is HookName.POST_CREATE
    assert metadata.privileged


def test_unknown_keys_and_nulls_are_tolerated() -> None:
    raw: dict[str, Json] = {
        "keywords": [1],
        "customizations": {},
        "options": None,
        "mounts": None,
        "name": None,
    }
    metadata = parse_feature_metadata(raw, "fig")
    assert (metadata.options, metadata.mounts, metadata.name) == ((), (), "")
    assert metadata.raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        {"id": ["x"]},
        {"options": []},
        {"options": {"a": "b"}},
        {"options": {"a": {"default": []}}},
        {"options": {"a": {"enum": "x"}}},
        {"options": {"a": {"enum": [{}]}}},
        {"dependsOn": ["x"]},
        {"installsAfter": "x"},
        {"installsAfter": [1]},
        {"containerEnv": {"A": []}},
        {"containerEnv": ["A=1"]},
        {"mounts": {}},
        {"init": "yes"},
        {"capAdd": {}},
        {"postCreateCommand": 5},
        {"description": "\0"},
        {"description": "\ud800"},
        {"x": float("nan")},
        {"x": object()},
        {"x": nested(101)},
        {"x": nested(20_000)},
        {"description": "x" * 1_100_000},
        {"dependsOn": {f"ghcr.io/o/x{n}": {} for n in range(1001)}},
    ],
    ids=lambda raw: next(iter(raw)),
)
def test_wrong_shape_is_a_typed_error_that_names_the_feature(raw: Json) -> None:
    with pytest.raises(FeatureInvalid, match="of fig cannot be used") as caught:
        parse_feature_metadata(raw, "fig")
    assert caught.value.error_code == "feature_invalid"
