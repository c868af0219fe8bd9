"""What scratch containers took of their host: bytes of its disk, and too much memory."""

from __future__ import annotations

import os
import re
from pathlib import Path
from threading import Event
from typing import Any

from docker.errors import NotFound

from crewship.domain.errors import ContainerGone
from crewship.engine.docker_containers import named, names_of
from crewship.engine.docker_errors import engine_errors
from crewship.engine.docker_exec import DockerExecs

PATIENCE_S = 10.0
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
# The kernel's own count, of cgroup v2 and v1; sh alone reads it. The engine's OOMKilled is of the
# container's first process only.
_ASK_KERNEL = """\
for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$f" ] || continue
    while read -r k v; do
        [ "$k" != oom_kill ] || [ "$v" = 0 ] || echo killed
    done < "$f"
done
"""


class DockerUsage(DockerExecs):
    def written_bytes(self, prefix: str) -> dict[str, int]:
        with engine_errors("measuring containers"):
            rows = self._act.containers(all=True, size=True, filters=named(prefix))
            return {
                name: row.get("SizeRw", 0) + self._in_volumes(row)
                for row in rows
                for name in names_of(row, prefix)
            }

    def _in_volumes(self, row: dict[str, Any]) -> int:  # Any: JSON
        """In those that the engine made for VOLUMEs of the image: they count for no layer, but
        fill the disk all the same. 0 where this process may not look."""
        if not any(_ANONYMOUS.fullmatch(m.get("Name") or "") for m in row.get("Mounts") or ()):
            return 0
        try:
            mounts = self._quick.inspect_container(row["Id"])["Mounts"]
        except NotFound:
            return 0
        sources = [m["Source"] for m in mounts if _ANONYMOUS.fullmatch(m.get("Name") or "")]
        return sum(_folder_bytes(Path(source)) for source in sources) if self.is_local else 0

    def ran_out_of_memory(self, container: str) -> bool:
        with engine_errors("asking how a process ended"):
            try:
                state = self._quick.inspect_container(container)["State"]
            except NotFound:
                return False
        if state["OOMKilled"] or not state["Running"]:
            return bool(state["OOMKilled"])
        said: list[str] = []
        try:
            self.exec(
                container,
                ("/bin/sh", "-c", _ASK_KERNEL),
                user="root",
                on_output=said.append,
                cancel=Event(),
                idle_timeout_s=PATIENCE_S,
                timeout_s=PATIENCE_S,
            )
        except ContainerGone:
            return False
        return "killed" in "".join(said)


def _folder_bytes(folder: Path) -> int:
    """What its files take of the disk; what can't be read, or goes away meanwhile, counts 0."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_blocks * 512
            except OSError:
                continue
    return total
