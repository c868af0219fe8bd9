"""Containers that run agents, and what stands around them: types, and their part of the protocol.

A build's scratch containers are in ``base.py``; both go through one ``Engine``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from crewship.domain.errors import EngineError


class SubnetTaken(EngineError):
    """A network on the host, or one of the host's own, overlaps the addresses asked for."""

    code = "subnet_taken"
    hint = "Give CREWSHIP_AGENT_SUBNETS addresses that nothing else on the host uses."


@dataclass(frozen=True, slots=True)
class SharedVolume:
    """A named volume that is written to; an empty one is filled with what the image has there."""

    volume: str
    target: str


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """A container for an agent: ``argv`` reads its stdin once, below the engine's own init.

    No capability but ``cap_add``, no new privileges, SIGTERM to end it, its output kept by the
    engine in a bounded file. Nothing secret belongs here: ``docker inspect`` shows it all.
    """

    name: str
    image: str  # id or tag
    argv: tuple[str, ...]
    user: str
    working_dir: str
    network: str  # a network that exists when the container starts
    alias: str = ""  # its name in that network; the engine's own networks take none
    volumes: tuple[SharedVolume, ...] = ()
    cap_add: tuple[str, ...] = ()
    memory_bytes: int | None = None
    nano_cpus: int | None = None
    pids_limit: int | None = None


@dataclass(frozen=True, slots=True)
class ContainerState:
    container_id: str
    name: str
    image_id: str
    running: bool
    exit_code: int | None = None  # of one that ended


class LogStream(Protocol):
    """Iterate for text as it arrives; ends when the container does, or after ``close``."""

    def __iter__(self) -> Iterator[str]: ...
    def close(self) -> None:
        """Ends the iteration, also from another thread."""


class AgentEngine(Protocol):
    """The calls around containers of agents; errors are as in ``Engine``."""

    def create_agent(self, spec: AgentSpec) -> str:
        """A created, not started container; returns its id.

        Raises Conflict when the name is taken, ImageNotFound when the host lacks the image.
        """

    def start_with_input(self, container: str, text: str) -> None:
        """It runs, and ``text`` is the whole of its stdin. Raises ShellMissing as
        ``start_container`` does, ContainerGone when it is not there (any more)."""

    def stop_container(self, container: str, grace_s: int) -> None:
        """It does not run any more: SIGTERM, then SIGKILL after ``grace_s``. No error when it did
        not run or is gone."""

    def containers(self, prefix: str) -> list[ContainerState]:
        """All containers, running or not, whose name starts with prefix, sorted by name."""

    def container_logs(self, container: str, *, since: float = 0) -> LogStream:
        """What its own process printed and prints, stdout and stderr as one, decoded as UTF-8
        with replacement. ``since`` is a time in seconds since 1970 by the engine's clock.
        Raises ContainerGone."""

    def create_network(self, name: str, subnet: str) -> None:
        """A bridge network of that name is there; an existing one is left as it is.

        Raises SubnetTaken.
        """

    def create_build_network(self, name: str) -> None:
        """A bridge network of that name is there, with addresses of the engine's choice, whose
        containers reach what is outside but not each other; an existing one is left as it is."""

    def remove_network(self, name: str) -> bool:
        """The network is gone; False when there was none. Raises Conflict while a container is
        in it."""

    def remove_volume(self, name: str) -> bool:
        """The volume and its data are gone; False when there was none. Raises Conflict while a
        container, running or not, has it."""
