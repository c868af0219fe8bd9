"""`crewship plan --metadata` as fresh processes: byte-identical, alone, and without traces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.devcontainer.examples import OURS, load_cases

CREWSHIP = Path(sys.executable).with_name("crewship")
ORDER = {case["name"]: case for case in load_cases("feature_order")}
NAMES = [
    "no-edges-sorted-by-name-not-config-order",
    "dependsOn-same-feature-two-option-sets",
    *[name for name, case in ORDER.items() if case["error"]][:2],
]


def run(folder: Path, **environ: str) -> subprocess.CompletedProcess[bytes]:
    usual = {k: v for k, v in os.environ.items() if not k.startswith(("CREWSHIP_", "DJANGO_"))}
    files = ["--config", str(folder / "config.json"), "--metadata", str(folder / "metadata.json")]
    return subprocess.run(
        [CREWSHIP, "plan", *files, "--json"],
        env={
            **usual,
            "CREWSHIP_DATA_DIR": str(folder / "data"),
            "CREWSHIP_FEATURE_PUBLISHERS": "+registry.example",
            "DOCKER_HOST": f"unix://{folder}/no-engine.sock",
            **environ,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


def write(folder: Path, config: object, metadata: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metadata.json").write_text(json.dumps(metadata))


def many_features(folder: Path) -> None:
    """Fifteen features with dependencies, soft edges, priorities, warnings and options."""
    metadata: dict[str, Mapping[str, Any]] = {
        f"{OURS}/f{n}:1": {
            "options": {f"o{m}": {"default": str(m)} for m in range(5)},
            "installsAfter": [f"{OURS}/f{m}" for m in range(n)],
            "dependsOn": {f"{OURS}/d{n % 3}:1": {"v": str(n % 2)}},
        }
        for n in range(15)
    }
    metadata |= {f"{OURS}/d{n}:1": {"legacyIds": [f"old{n}"]} for n in range(3)}
    config = {
        "features": {ref: {"x": "1"} for ref in metadata},
        "overrideFeatureInstallOrder": [f"{OURS}/f7", f"{OURS}/d1"],
        "containerEnv": {f"E{n}": "v" for n in range(9)},
        "postCreateCommand": {f"p{n}": "true" for n in range(9)},
        "unheard": 1,
    }
    write(folder, config, metadata)


def outputs(folder: Path, count: int) -> set[bytes]:
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda seed: run(folder, PYTHONHASHSEED=str(seed)), range(count)))
    assert [(r.returncode, r.stderr) for r in runs] == [(0, b"")] * count
    return {r.stdout for r in runs}


@pytest.mark.parametrize("name", NAMES)
def test_a_case_as_a_process_of_its_own(name: str, tmp_path: Path) -> None:
    case = ORDER[name]
    config = {"features": case["features"], "overrideFeatureInstallOrder": case["override"]}
    write(tmp_path, config, case["metadata"])
    done = run(tmp_path)
    out = json.loads(done.stdout)
    if case["error"]:
        assert (done.returncode, out["error"]["code"]) == (1, case["error"])
    else:
        assert (done.returncode, [f["ref"] for f in out["features"]]) == (0, case["expected"])


def test_a_few_processes_print_the_same_bytes(tmp_path: Path) -> None:
    many_features(tmp_path)
    assert len(outputs(tmp_path, 4)) == 1


@pytest.mark.cli
def test_fifty_processes_print_the_same_bytes(tmp_path: Path) -> None:
    many_features(tmp_path)
    assert len(outputs(tmp_path, 50)) == 1


def test_a_plan_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path, {}, {})
    assert run(tmp_path).returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "metadata.json"]


def test_a_plan_by_metadata_loads_no_django_http_or_engine(tmp_path: Path) -> None:
    write(tmp_path, {"features": {f"{OURS}/a:1": {}}}, {f"{OURS}/a:1": {}})
    done = run(tmp_path, PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rpartition(b"|")[2].strip() for line in done.stderr.split(b"\n")}
    assert done.returncode == 0
    assert loaded & {b"django", b"httpx", b"docker", b"redis", b"rich.table", b"rq"} == set()


def test_output_is_ascii_whatever_the_locale(tmp_path: Path) -> None:
    write(tmp_path, {"features": {f"{OURS}/a:1": {"t": "🚢 ü"}}}, {f"{OURS}/a:1": {}})
    done = run(tmp_path, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout.decode("ascii"))["features"][0]["env"] == {"T": "🚢 ü"}
