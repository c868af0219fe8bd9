"""The Docker engine behind the Engine protocol.

The modules ``docker*.py`` of this package are the only ones that import the Docker SDK; each holds
the calls about one noun, and this one puts them together.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from threading import Event
from typing import cast

from docker.utils import kwargs_from_env

from crewship.domain.errors import EngineUnreachable
from crewship.engine.base import EngineEvent, EngineInfo
from crewship.engine.docker_agents import DockerAgents
from crewship.engine.docker_clients import LONG_TIMEOUT_S, QUICK_TIMEOUT_S
from crewship.engine.docker_errors import engine_errors
from crewship.engine.docker_logs import DockerLogs
from crewship.engine.docker_places import DockerPlaces
from crewship.engine.docker_pull import DockerPulls
from crewship.engine.docker_streams import Item, StreamReader
from crewship.engine.docker_usage import DockerUsage


class DockerEngine(DockerPulls, DockerUsage, DockerAgents, DockerLogs, DockerPlaces):
    """One Docker host. Safe to share between threads, not between processes."""

    @classmethod
    def from_environment(
        cls, *, timeout_s: int = QUICK_TIMEOUT_S, long_timeout_s: int = LONG_TIMEOUT_S
    ) -> DockerEngine:
        """The engine that DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH name.

        Nothing is contacted yet: the first call raises EngineUnreachable when it must.
        """
        with engine_errors("reading DOCKER_HOST and its companions"):
            connection = dict(kwargs_from_env())
        return cls(connection, quick_timeout_s=timeout_s, long_timeout_s=long_timeout_s)

    def info(self) -> EngineInfo:
        with engine_errors("asking for its version"):
            version, info = self._quick.version(), self._quick.info()
        return EngineInfo(
            engine_id=info["ID"],
            version=version["Version"],
            api_version=version["ApiVersion"],
            platform=f"{version['Os']}/{version['Arch']}",
            storage_driver=info["Driver"],
            data_root=info.get("DockerRootDir", ""),
            clock=info.get("SystemTime", ""),
            memory_bytes=info.get("MemTotal", 0),
            # A socket may lead into a virtual machine (Docker Desktop) or a container's host.
            on_this_machine=self.is_local and info.get("Name") == socket.gethostname(),
        )

    def ping(self) -> None:
        with engine_errors("asking whether it is there"):
            self._quick.ping()

    def events(self, cancel: Event) -> Iterator[EngineEvent]:
        with engine_errors("watching events"):
            # Opened here, not at the first next(): what happens after this call is seen.
            stream = self._quick.events(decode=True, filters={"type": ["image", "container"]})
        return self._read_events(cast("Iterator[Item]", stream), cancel)

    def _read_events(self, stream: Iterator[Item], cancel: Event) -> Iterator[EngineEvent]:
        with engine_errors("watching events"):
            for item in StreamReader(lambda: stream, cancel):
                # Three a command, and nobody watches commands from outside.
                if not item["Action"].startswith("exec_"):
                    yield _event(item)
        if not cancel.is_set():
            raise EngineUnreachable("The Docker engine went away while its events were watched.")


def _event(item: Item) -> EngineEvent:
    actor = item["Actor"]
    return EngineEvent(
        kind=item["Type"],
        action=item["Action"],
        actor_id=actor["ID"],
        name=(actor.get("Attributes") or {}).get("name", ""),
        time_ns=item["timeNano"],
    )
