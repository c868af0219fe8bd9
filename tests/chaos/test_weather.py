"""Bad weather, row by row: see docs/operations.md for the table with results.

A row is what is done to an installation with a job under way. What must be true afterwards is the
same for all (``outcome.weathered``). ``python -m tests.chaos`` runs rows and prints the table.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from provisioning.faults import FaultPoint
from tests.chaos import harm
from tests.chaos.outcome import current_commit, note_result, weathered
from tests.chaos.scene import Build, Scene, scene_of

pytestmark = pytest.mark.chaos
COMPLETED = ("completed",)


@dataclass(frozen=True, slots=True)
class Row:
    """``harm`` starts a job, does the harm, and returns when it is over."""

    name: str
    kind: str  # of the installation, see ``scene_of``
    harm: Callable[[Scene], Build]
    ends: tuple[str, ...] = COMPLETED
    short: bool = False  # in `make test` too


def _words(point: FaultPoint) -> str:
    return str(point).replace("-", " ")


# In the short form: a container, an image, a name and a transaction that a dead process left.
SHORT_POINTS = {
    (FaultPoint.AFTER_CONTAINER_CREATE, "horse"),
    (FaultPoint.AFTER_COMMIT, "worker"),
    (FaultPoint.AFTER_CREW_LINK, "horse"),
}

ROWS = (
    *(
        Row(
            f"SIGKILL of the {whom} {_words(point)}",
            "usual",
            partial(harm.kill_at, point=point, whom=whom),
            short=(point, whom) in SHORT_POINTS,
        )
        for point in FaultPoint
        for whom in ("horse", "worker")
    ),
    *(
        Row(
            f"SIGSTOP of the {whom} {_words(point)}, SIGCONT after 60 s",
            "usual",
            partial(harm.stop_at, point=point, whom=whom),
        )
        for point in FaultPoint
        for whom in ("horse", "worker")
    ),
    Row("FLUSHALL", "usual", harm.flush_redis, short=True),
    Row("embedded Redis killed", "usual", harm.kill_embedded_redis),
    Row("embedded Redis killed, its AOF damaged", "usual", harm.damage_redis_log, short=True),
    Row("everything killed, started on stale pid files", "usual", harm.kill_everything, short=True),
    Row("engine and everything killed and started", "apart", harm.kill_everything),
    Row("Redis killed for 4 s", "apart", partial(harm.redis_away, seconds=4), short=True),
    Row("Redis killed for 60 s", "apart", partial(harm.redis_away, seconds=60)),
    Row("PostgreSQL sessions cut twice", "apart", harm.cut_database_twice, short=True),
    Row("PostgreSQL restarted, 3 s", "apart", partial(harm.restart_database, seconds=3)),
    Row(
        "engine killed and started",
        "apart",
        partial(harm.restart_engine, with_signal=signal.SIGKILL),
    ),
    Row(
        "engine stopped and started",
        "apart",
        partial(harm.restart_engine, with_signal=signal.SIGTERM),
    ),
    Row("engine's disk filled by another build", "apart", harm.fill_engine_disk),
    Row(
        "data disk full for 60 s",
        "small disk",
        partial(harm.fill_data_disk, seconds=60),
        # What can't be recorded may end a job, but the job must say why.
        ends=(*COMPLETED, "insufficient_storage", "disk_full", "database_unavailable"),
    ),
)


@pytest.fixture(scope="module")
def scenes(
    tmp_path_factory: pytest.TempPathFactory, layout: Path
) -> Iterator[Callable[[str], Scene]]:
    """The installation of a kind, started when it is first asked for. All stay until the end: to
    start one is slow, and the rows come in any order."""
    made: dict[str, Scene] = {}
    with ExitStack() as stack:

        def scene(kind: str) -> Scene:
            if kind not in made:
                folder = tmp_path_factory.mktemp("chaos")
                made[kind] = stack.enter_context(scene_of(kind, folder, layout))
            return made[kind]

        yield scene


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=f"{row.kind}: {row.name}", marks=() if row.short else pytest.mark.long)
        for row in ROWS
    ],
)
def test_all_is_well_again_after(scenes: Callable[[str], Scene], row: Row) -> None:
    scene = scenes(row.kind)
    build = row.harm(scene)
    outcome = weathered(scene, build, row.name, row.ends)
    note_result(replace(outcome, commit=current_commit()))
