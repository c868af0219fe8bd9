"""The fake engine's part for agents: containers with a stdin, their output, networks, volumes."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from crewship.domain.errors import (
    Conflict,
    ContainerGone,
    EngineError,
    ImageNotFound,
    ShellMissing,
)
from crewship.engine.fake_state import FakeContainer, FakeState
from crewship.engine.running import AgentSpec, ContainerState, LogStream, SubnetTaken

TICK_S = 0.01
TERMINATED_EXIT_CODE = 143  # 128 + SIGTERM


@dataclass(frozen=True, slots=True)
class FakeProcess:
    """What an agent's process does with its stdin: prints, then ends or runs on until it
    is stopped."""

    output: str = ""
    exit_code: int = 0
    ends: bool = False
    ignores_sigterm: bool = False


InputHandler = Callable[[AgentSpec, str], FakeProcess | None]


@dataclass(eq=False)
class FakePlaces:
    networks: dict[str, str] = field(default_factory=dict)  # name -> subnet
    volumes: set[str] = field(default_factory=set)


class FakeAgents:
    """Without handlers every agent runs silently until it is stopped."""

    _state: FakeState

    def __init__(self) -> None:
        self.places = FakePlaces()
        self.inputs: dict[str, str] = {}  # container name -> what its last start read
        self._input_handlers: list[InputHandler] = []

    def _called(self, method: str, **args: Any) -> None:  # Any: as in FakeCall
        raise NotImplementedError

    # -- what tests script
    def on_input(self, handler: InputHandler) -> None:
        """Handlers are asked newest first; None passes the call on."""
        self._input_handlers.insert(0, handler)

    def end(self, container: str, exit_code: int = 0) -> None:
        """The agent's process ends by itself."""
        self._state.stop(self._found(container), exit_code)

    def say(self, container: str, text: str) -> None:
        """The agent's process prints."""
        self._found(container).output += text

    def _found(self, container: str) -> FakeContainer:
        found = self._state.container(container)
        if found is None:
            raise ContainerGone(f"The container {container} is gone (fake).")
        return found

    # -- AgentEngine
    def create_agent(self, spec: AgentSpec) -> str:
        self._called("create_agent", spec=spec)
        image = self._state.find(spec.image)
        if image is None:
            raise ImageNotFound(f"The Docker host does not have the image {spec.image} (fake).")
        if self._state.container(spec.name):
            raise Conflict(f"The container name {spec.name} is taken (fake).")
        self.places.volumes |= {volume.volume for volume in spec.volumes}
        return self._state.new_container(spec, image).container_id

    def start_with_input(self, container: str, text: str) -> None:
        self._called("start_with_input", container=container, text=text)
        found = self._found(container)
        spec = found.spec
        if not isinstance(spec, AgentSpec):
            raise EngineError(f"The container {spec.name} has no stdin (fake).")
        if not found.image.shell:
            raise ShellMissing("The image has no /bin/sh to run build steps with.")
        if spec.network not in self.places.networks and spec.network != "bridge":
            raise EngineError(f"The Docker engine failed: network {spec.network} not found.")
        self.inputs[spec.name] = text
        self._state.start(found)
        answers = (handler(spec, text) for handler in self._input_handlers)
        process = next((answer for answer in answers if answer is not None), FakeProcess())
        found.output += process.output
        found.ignores_sigterm = process.ignores_sigterm
        if process.ends:
            self._state.stop(found, process.exit_code)

    def stop_container(self, container: str, grace_s: int) -> None:
        self._called("stop_container", container=container, grace_s=grace_s)
        if found := self._state.container(container):
            if found.ignores_sigterm:
                self._state.stop(found)
            self._state.stop(found, TERMINATED_EXIT_CODE)

    def containers(self, prefix: str) -> list[ContainerState]:
        self._called("containers", prefix=prefix)
        found = map(self._state.container, self._state.container_names(prefix))
        return [
            ContainerState(
                container_id=c.container_id,
                name=c.spec.name,
                image_id=c.image.image_id,
                running=c.running.is_set(),
                exit_code=c.exit_code,
            )
            for c in found
            if c is not None
        ]

    def container_logs(self, container: str, *, since: float = 0) -> LogStream:
        self._called("container_logs", container=container, since=since)
        return FakeLogStream(self._found(container), from_end=since > 0)

    def create_network(self, name: str, subnet: str) -> None:
        self._called("create_network", name=name, subnet=subnet)
        wanted = ipaddress.ip_network(subnet)
        others = [used for other, used in self.places.networks.items() if other != name]
        if any(wanted.overlaps(ipaddress.ip_network(used)) for used in others):
            raise SubnetTaken(f"The addresses {subnet} are taken on the host (fake).")
        self.places.networks.setdefault(name, subnet)

    def create_build_network(self, name: str) -> None:
        self._called("create_build_network", name=name)

    def remove_network(self, name: str) -> bool:
        self._called("remove_network", name=name)
        agents = self._state.containers_of(AgentSpec)
        if any(spec.network == name and c.running.is_set() for c, spec in agents):
            raise Conflict(f"Containers are in the network {name} (fake).")
        return self.places.networks.pop(name, None) is not None

    def remove_volume(self, name: str) -> bool:
        self._called("remove_volume", name=name)
        for _, spec in self._state.containers_of(AgentSpec):
            if name in {volume.volume for volume in spec.volumes}:
                raise Conflict(f"The volume {name} is in use (fake).")
        there = name in self.places.volumes
        self.places.volumes.discard(name)
        return there


class FakeLogStream:
    def __init__(self, container: FakeContainer, *, from_end: bool) -> None:
        self._container = container
        self._at = len(container.output) if from_end else 0
        self._closed = False

    def __iter__(self) -> Iterator[str]:
        while not self._closed:
            ended = not self._container.running.is_set()
            text = self._container.output[self._at :]
            self._at += len(text)
            if text:
                yield text
            elif ended:
                return
            else:
                time.sleep(TICK_S)

    def close(self) -> None:
        self._closed = True
