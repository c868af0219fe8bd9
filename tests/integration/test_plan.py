"""`crewship plan` on a host: the keys that a build uses, and whether its layers are there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stack.features import ref
from tests.stack.server import Api, Stack

pytestmark = pytest.mark.engine
Config = Callable[..., dict[str, Any]]


def planned(folder: Path, config: object, environment: dict[str, str]) -> tuple[int, Any]:
    file = folder / "devcontainer.json"
    file.write_text(json.dumps(config))
    done = subprocess.run(
        [Path(sys.executable).with_name("crewship"), "plan", "--config", str(file), "--json"],
        env=environment,
        capture_output=True,
    )
    assert done.stderr == b""
    return done.returncode, json.loads(done.stdout)


def states(out: Any) -> dict[str, bool | None]:
    return {layer["label"]: layer["present"] for layer in out["layers"]}


def test_a_plan_knows_what_a_build_left_behind(
    api: Api, stack: Stack, config: Config, slug: str, tmp_path: Path
) -> None:
    features = {ref("note"): {"text": slug}, ref("tool"): {"word": slug}}
    wanted = config(features=features)
    code, before = planned(tmp_path, wanted, stack.environment)
    assert (code, before["error"]) == (0, None)
    assert [f["ref"] for f in before["features"]] == [ref("note"), ref("tool")]
    assert states(before)["note:1"] is False

    crew = api.crew(slug, wanted)
    tag = api.build(crew)
    _, after = planned(tmp_path, wanted, stack.environment)
    assert after["config_hash"].startswith(tag.rpartition(":")[2])
    assert set(states(after).values()) == {True}
    [provenance] = stack.rows("SELECT provenance FROM cache_cachedimage WHERE tag = ?", tag)
    built = json.loads(provenance[0])["layers"]
    assert [layer["key"] for layer in after["layers"]] == [layer["key"] for layer in built]

    with_host = api.http.post(f"/crews/{crew}/plan").json()  # by records alone
    assert with_host["layers"] == after["layers"]
    assert (with_host["cached_image"], with_host["would_build"]) == (tag, 0)

    changed = config(features={**features, ref("tool"): {"word": "other"}})
    assert states(planned(tmp_path, changed, stack.environment)[1]) == {
        "user agent": True,
        "note:1": True,
        "tool:1": False,
        "config": False,
    }


def test_without_an_engine_order_is_known_and_keys_are_not(
    stack: Stack, config: Config, tmp_path: Path
) -> None:
    away = {**stack.environment, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    code, out = planned(tmp_path, config(features={ref("note"): {}}), away)
    assert code == 0
    assert out["features"][0]["env"] == {"TEXT": ""}
    assert {(layer["key"], layer["present"]) for layer in out["layers"]} == {(None, None)}


def test_without_a_data_directory_keys_are_known_and_states_are_not(
    stack: Stack, config: Config, tmp_path: Path
) -> None:
    absent = tmp_path / "absent"
    alone = {**stack.environment, "CREWSHIP_DATA_DIR": str(absent)}
    code, out = planned(tmp_path, config(features={ref("note"): {}}), alone)
    assert code == 0
    assert all(layer["key"] for layer in out["layers"])
    assert set(states(out).values()) == {None}
    assert not absent.exists()


def test_a_feature_that_no_registry_has_is_not_found(
    stack: Stack, config: Config, tmp_path: Path
) -> None:
    ghost = config(features={ref("ghost"): {}})
    code, out = planned(tmp_path, ghost, stack.environment)
    assert (code, out["error"]["code"], out["error"]["path"]) == (1, "not_found", "features")
    assert ref("ghost") in out["error"]["message"]
