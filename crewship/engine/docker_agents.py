"""Agents' containers through the SDK: create, start with a text on stdin, stop, list."""

from __future__ import annotations

import re
from typing import Any

from docker.errors import APIError, NotFound

from crewship.domain.errors import ContainerGone
from crewship.engine.docker_containers import (
    DockerContainers,
    limits,
    named,
    names_of,
    shell_needed,
)
from crewship.engine.docker_errors import engine_errors
from crewship.engine.running import AgentSpec, ContainerState, SharedVolume

_EXITED = re.compile(r"Exited \((-?\d+)\)")
_ALIVE = frozenset({"running", "paused", "restarting"})


class DockerAgents(DockerContainers):
    def create_agent(self, spec: AgentSpec) -> str:
        with engine_errors(f"creating container {spec.name}"):
            # The raw call: create_container() would add the proxies of docker's config.json.
            made: dict[str, str] = self._act.create_container_from_config(  # type: ignore[no-untyped-call]
                _create_body(spec), spec.name
            )
        return made["Id"]

    def start_with_input(self, container: str, text: str) -> None:
        with engine_errors(f"starting container {container}"):
            # Attached before the start: a container whose stdin nobody holds would never see its
            # end. Its end is our hanging up (StdinOnce), also when this process dies.
            raw: Any = self._act.attach_socket(  # Any: SocketIO, SSL socket, channel
                container, params={"stdin": 1, "stream": 1}
            )
            response, sock = raw._response, getattr(raw, "_sock", raw)
            try:
                with shell_needed():
                    self._act.start(container)
                sock.sendall(text.encode())
            except BrokenPipeError as err:
                raise ContainerGone(f"The container {container} ended at its start.") from err
            finally:
                response.close()
                sock.close()

    def stop_container(self, container: str, grace_s: int) -> None:
        with engine_errors(f"stopping container {container}"):
            try:
                self._act.stop(container, timeout=grace_s)
            except NotFound:
                return
            except APIError as err:
                if err.status_code != 409:  # 409: somebody removes it at this moment
                    raise

    def containers(self, prefix: str) -> list[ContainerState]:
        with engine_errors("listing containers"):
            # One call; the SDK's list would look at each again, which may be gone by then.
            rows = self._quick.containers(all=True, filters=named(prefix))
        states = [_state(row, name) for row in rows for name in names_of(row, prefix)[:1]]
        return sorted(states, key=lambda state: state.name)


def _state(row: dict[str, Any], name: str) -> ContainerState:  # Any: JSON
    exited = _EXITED.match(row["Status"])
    return ContainerState(
        container_id=row["Id"],
        name=name,
        image_id=row["ImageID"],
        running=row["State"] in _ALIVE,
        exit_code=int(exited.group(1)) if exited else None,
    )


def _create_body(spec: AgentSpec) -> dict[str, Any]:  # Any: JSON
    host: dict[str, Any] = {  # Any: JSON
        "NetworkMode": spec.network,
        "Init": True,  # reaps orphans, and a command without a handler still ends on SIGTERM
        "CapDrop": ["ALL"],
        "CapAdd": list(spec.cap_add),
        "SecurityOpt": ["no-new-privileges"],
        "Mounts": [_mount(volume) for volume in spec.volumes],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}},
    }
    host |= limits(spec.memory_bytes, spec.nano_cpus, spec.pids_limit)
    return {
        "Image": spec.image,
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "Hostname": spec.alias[:63],
        "Entrypoint": list(spec.argv),
        "Cmd": [],
        "Tty": False,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["NONE"]},  # the image's own knows another process
        "HostConfig": host,
        "NetworkingConfig": {
            "EndpointsConfig": {spec.network: {"Aliases": [spec.alias] if spec.alias else []}}
        },
    }


def _mount(volume: SharedVolume) -> dict[str, Any]:  # Any: JSON
    return {"Type": "volume", "Source": volume.volume, "Target": volume.target}
