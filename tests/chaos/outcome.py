"""What must be true after bad weather, whatever the weather was; and what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.chaos.scene import PATIENCE_S, Build, Scene, is_at_work
from tests.stack.server import PROJECT, wait_until

PROMISED_S = 30.0  # until the state is right, once it can be
# On a machine that does much else, the table tells the seconds and this is the test's bound.
RIGHT_WITHIN_S = float(os.environ.get("CREWSHIP_TEST_RIGHT_WITHIN", "120"))
RESULTS = Path(os.environ.get("CREWSHIP_CHAOS_RESULTS") or PROJECT / ".cache" / "chaos.jsonl")
HASH_LABEL = "dev.crewship.config-hash"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line of the table. Seconds count from the moment when the weather was good again."""

    row: str
    ended: str  # "completed" or the error's code
    right_after_s: float
    ended_after_s: float
    attempts: int
    lost_s: float  # of work that had to be done again
    commit: str = ""


def weathered(scene: Scene, build: Build, row: str, ends: tuple[str, ...]) -> Outcome:
    """The job ended in one of these ways, nothing of it is left, and the next job works.

    Called when the weather is good again; AssertionError says what is not so.
    """
    began = time.monotonic()
    wait_until(lambda: _is_right(scene, build), RIGHT_WITHIN_S, "the job's state is right")
    right_after = time.monotonic() - began
    wait_until(lambda: _has_ended(scene, build), PATIENCE_S, "the job ended", 0.2)
    ended_after = time.monotonic() - began
    ended = _how_it_ended(scene, build)
    assert ended in ends, (ended, scene.api.log(build.crew)[-2000:])
    attempts, lost_s = _attempts(scene, build)
    wait_until(lambda: not _left(scene), PATIENCE_S, f"nothing is left ({_left(scene)})", 0.3)
    _images_are_right(scene, build, ended)
    scene.api.build(scene.crew({"note": {}}), within_s=PATIENCE_S)
    return Outcome(row, ended, right_after, ended_after, attempts, lost_s)


def _is_right(scene: Scene, build: Build) -> bool:
    """Ended, waiting, with another worker, or with the first one, which is at work."""
    rows = scene.quietly(
        lambda: scene.stack.rows(
            "SELECT state, fence FROM provisioning_provisionjob WHERE id = ?", build.job
        )
    )
    if not rows:
        return False
    [(state, fence)] = rows
    return state != "running" or int(fence) != build.fence or is_at_work(build.horse)


def _has_ended(scene: Scene, build: Build) -> bool:
    status = scene.quietly(lambda: scene.api.status(build.crew))
    return status is not None and status["status"] in {"completed", "failed", "idle"}


def _how_it_ended(scene: Scene, build: Build) -> str:
    sql = "SELECT state, error_code FROM provisioning_provisionjob WHERE id = ?"
    [(state, code)] = scene.stack.rows(sql, build.job)
    return str(code) if state == "failed" else str(state)


def _events(scene: Scene, build: Build) -> list[tuple[int, str, dict[str, Any], datetime]]:
    rows = scene.stack.rows(
        "SELECT seq, kind, data, at FROM provisioning_jobevent WHERE job_id = ? ORDER BY seq",
        build.job,
    )
    return [
        (
            int(seq),
            str(kind),
            json.loads(data) if isinstance(data, str) else data,
            datetime.fromisoformat(at) if isinstance(at, str) else at,
        )
        for seq, kind, data, at in rows
    ]


def _attempts(scene: Scene, build: Build) -> tuple[int, float]:
    """How often a worker took the job up, and the seconds of its work that were done again: from
    the last finished layer (or the beginning) to the last sign of an attempt that was lost."""
    events = _events(scene, build)
    assert [seq for seq, *_ in events] == list(range(1, len(events) + 1)), "gaps in the events"
    built = Counter(d["key"] for _, kind, d, _ in events if kind == "layer" and not d["hit"])
    assert set(built.values()) <= {1}, f"finished layers were built again: {built}"
    attempts, lost_s = 0, 0.0
    safe = last = events[0][3]
    for _, kind, data, at in events:
        state = data.get("state") if kind == "job.state" else None
        if state == "running":
            attempts += 1
            safe = at
        elif state == "pending" and attempts:
            lost_s += (last - safe).total_seconds()
        elif kind == "layer":
            safe = at
        last = at
    return attempts, lost_s


def _left(scene: Scene) -> list[str]:
    """Whatever a job left: containers on the engine, rows about what it had under way."""
    jobs = [str(job) for (job,) in scene.stack.rows("SELECT id FROM provisioning_provisionjob")]
    prefixes = tuple(f"crewship-build-{job.removeprefix('job_').lower()}" for job in jobs)
    listed = scene.client.api.containers(all=True)
    names = [name.lstrip("/") for c in listed for name in c["Names"] or []]
    left = [name for name in names if name.startswith(prefixes)]
    for sql in (
        "SELECT name FROM provisioning_scratchcontainer",
        "SELECT key FROM cache_layerlease",
        "SELECT tag FROM cache_layer WHERE image_id = '' OR kind = 'final'",
        "SELECT id FROM provisioning_provisionjob WHERE state IN ('pending', 'running')",
    ):
        left += [str(name) for (name,) in scene.stack.rows(sql)]
    return left


def _images_are_right(scene: Scene, build: Build, ended: str) -> None:
    """Exactly one image was made for the config, under the tag that the crew has; or none."""
    [(config_hash,)] = scene.stack.rows(
        "SELECT config_hash FROM provisioning_provisionjob WHERE id = ?", build.job
    )
    label = {"label": f"{HASH_LABEL}={config_hash}"}

    def images() -> list[dict[str, Any]]:
        return list(scene.client.api.images(filters=label))

    wanted = 1 if ended == "completed" else 0
    wait_until(lambda: len(images()) == wanted, 60, f"{wanted} image of the job")
    if wanted:
        assert scene.api.status(build.crew)["cached_image"] in images()[0]["RepoTags"]


def note_result(outcome: Outcome) -> None:
    """The line is kept for ``python -m tests.chaos``."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")


def current_commit() -> str:
    """Of the project as it is checked out; "" without git."""
    argv = ["git", "-C", str(PROJECT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(argv, capture_output=True, text=True).stdout.strip()
