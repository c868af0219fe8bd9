"""A supervisor killed by SIGKILL runs no code any more; its children end all the same."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from pathlib import Path
from crewship.cli import embedded_redis
from crewship.cli.supervisor.child import ChildSpec
from crewship.cli.supervisor.supervisor import Supervisor

data, run = Path(sys.argv[1]), Path(sys.argv[2])
redis = embedded_redis.prepare(data, run)
supervisor = Supervisor(data / "logs")
children = [
    supervisor.start(ChildSpec("redis", redis.argv, os.environ, quiet=True)),
    supervisor.start(ChildSpec("web", ("sleep", "600"), os.environ)),
]
supervisor.wait_until(redis.answers, 30, "redis")
print(*(child.pid for child in children), flush=True)
supervisor.run()
"""
PATIENCE_S = 10.0


@pytest.fixture
def killed(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """The children's process ids, after their supervisor was killed."""
    run = tmp_path_factory.mktemp("r")
    argv = [sys.executable, "-c", PROGRAM, str(tmp_path), str(run)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    return pids


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_no_child_outlives_a_killed_supervisor(killed: list[int]) -> None:
    assert len(killed) == 2
    limit = time.monotonic() + PATIENCE_S
    while any(is_alive(pid) for pid in killed):
        assert time.monotonic() < limit, "children are still there"
        time.sleep(0.02)
