"""Scratch containers through the SDK: create, start, kill, remove, list, put files in."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from docker.errors import APIError, NotFound

from crewship.domain.errors import EngineError, ShellMissing
from crewship.engine.base import ContainerSpec, Mount
from crewship.engine.docker_clients import DockerClients
from crewship.engine.docker_errors import engine_errors, explanation

# An Entrypoint, not a Cmd: see docker_images.commit_conf. The loop ends where there is no sleep,
# rather than spin.
HOLD_OPEN = ("/bin/sh", "-c", "while sleep 3600; do :; done")
REMOVAL_WAIT_S = 30.0
# The first process prints nothing, but whoever writes to /proc/1/fd/1 prints for it.
LOG_CONFIG = {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}}


class DockerContainers(DockerClients):
    def create_container(self, spec: ContainerSpec) -> str:
        with engine_errors(f"creating container {spec.name}"):
            # The raw call: create_container() would add the proxies of docker's config.json.
            made: dict[str, str] = self._act.create_container_from_config(  # type: ignore[no-untyped-call]
                _create_body(spec), spec.name
            )
        return made["Id"]

    def start_container(self, container: str) -> None:
        with engine_errors(f"starting container {container}"), shell_needed():
            self._act.start(container)

    def kill_container(self, container: str) -> None:
        with engine_errors(f"killing container {container}"):
            try:
                self._act.kill(container)  # SIGKILL, without a grace time
            except NotFound:
                return
            except APIError as err:
                if err.status_code != 409:  # 409: it does not run
                    raise

    def remove_container(self, container: str) -> bool:
        with engine_errors(f"removing container {container}"):
            try:
                self._act.remove_container(container, force=True, v=True)
            except NotFound:
                return False
            except APIError as err:
                if err.status_code != 409 or "already in progress" not in explanation(err):
                    raise
                self._await_removal(container)
        return True

    def _await_removal(self, container: str) -> None:
        """Somebody else (a sweeper) removes it at the same moment: it is gone on return."""
        deadline = time.monotonic() + REMOVAL_WAIT_S
        while time.monotonic() < deadline:
            try:
                self._quick.inspect_container(container)
            except NotFound:
                return
            time.sleep(0.1)
        raise EngineError(f"Container {container} is being removed and does not go away.")

    def container_names(self, prefix: str) -> list[str]:
        with engine_errors("listing containers"):
            found = self._quick.containers(all=True, filters=named(prefix))
        return sorted({name for row in found for name in names_of(row, prefix)})

    def put_archive(self, container: str, path: str, tar: bytes | Iterable[bytes]) -> None:
        # bytes go with a Content-Length, an iterator in chunks: never held in memory as a whole.
        body: Any = tar if isinstance(tar, bytes) else iter(tar)  # Any: what requests streams
        with engine_errors(f"copying files to {path}"):
            self._long.put_archive(container, path, body)


def named(prefix: str) -> dict[str, str]:
    """The filter for containers whose name starts so; what matches is to be looked at again."""
    return {"name": "^/?" + re.escape(prefix)}  # a regular expression against "/name"


def names_of(row: dict[str, Any], prefix: str) -> list[str]:  # Any: JSON
    """The own names of a listed container that start so; others are links'."""
    names = [name.removeprefix("/") for name in row["Names"] or ()]
    return [name for name in names if name.startswith(prefix) and "/" not in name]


@contextmanager
def shell_needed() -> Iterator[None]:
    """The engine's complaint about a missing /bin/sh leaves the block as ShellMissing."""
    try:
        yield
    except APIError as err:
        text = explanation(err)
        if '"/bin/sh"' in text and "no such file" in text:
            raise ShellMissing("The image has no /bin/sh to run build steps with.") from err
        raise


def limits(memory_bytes: int | None, nano_cpus: int | None, pids: int | None) -> dict[str, int]:
    """The part of a HostConfig that bounds a container; None is no bound."""
    # MemorySwap equal to Memory: no swap beyond it.
    bounds = {
        "Memory": memory_bytes,
        "MemorySwap": memory_bytes,
        "NanoCpus": nano_cpus,
        "PidsLimit": pids,
    }
    return {name: value for name, value in bounds.items() if value is not None}


def _create_body(spec: ContainerSpec) -> dict[str, Any]:  # Any: JSON
    host: dict[str, Any] = {  # Any: JSON
        "NetworkMode": spec.network,
        # Explicit: a daemon with "init": true would leave /sbin/docker-init in the image.
        "Init": False,
        "Mounts": [_mount_body(mount) for mount in spec.mounts],
        "LogConfig": LOG_CONFIG,
    }
    host |= limits(spec.memory_bytes, spec.nano_cpus, spec.pids_limit)
    return {
        "Image": spec.image,
        "User": "0:0",
        "WorkingDir": "/",  # else the engine makes the image's WorkingDir as root
        "Entrypoint": list(HOLD_OPEN),
        "Cmd": [],
        "OpenStdin": False,
        "Tty": False,
        "HostConfig": host,
    }


def _mount_body(mount: Mount) -> dict[str, Any]:  # Any: JSON
    return {
        "Type": "volume",
        "Source": mount.volume,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        # An empty volume would be filled with what the image has at the target.
        "VolumeOptions": {"NoCopy": True},
    }
