"""How much memory each process has, and how large the files of an installation are."""

from __future__ import annotations

import contextlib
from pathlib import Path

from crewship.settings.options import runtime_dir_for
from tests.stack.redis import servers_at
from tests.stack.server import Stack

# What names a process on its command line -> what it is called.
NAMES = {
    "crewship.asgi": "web",
    "crewship_watcher": "watcher",
    "crewship_scheduler": "scheduler",
    "crewship start": "supervisor",
    "redis.sock": "redis",
}


def memory_kb(stack: Stack) -> dict[str, int]:
    """PSS of each process by name; the forks that run jobs are gone when this is asked."""
    found: dict[str, int] = {}
    for pid in (*stack.pids(""), *servers_at(runtime_dir_for(stack.data_dir) / "redis.sock")):
        with contextlib.suppress(OSError, StopIteration):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            pss = next(int(x.split()[1]) for x in rollup if x.startswith("Pss:"))
            found[_name(line, pid)] = pss
    return found


def _name(line: str, pid: int) -> str:
    if "crewship_worker" in line:
        return line.split("--name ")[1].split()[0]
    return next((name for word, name in NAMES.items() if word in line), f"process {pid}")


def file_bytes(stack: Stack) -> dict[str, int]:
    """Database with its write-ahead log, the largest process log, Redis' log, the store."""
    data = stack.data_dir
    logs = [p.stat().st_size for p in (data / "logs").glob("*.log")]
    return {
        "database": sum(p.stat().st_size for p in data.glob("crewship.sqlite3*")),
        "largest log": max(logs, default=0),
        "Redis' data": _tree(data / "redis"),
        "store": _tree(data / "store"),
    }


def _tree(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
