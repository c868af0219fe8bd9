"""The engine as the pipeline sees it: a Protocol, and frozen types that cross it.

``docker*.py`` are the only modules that import docker; ``fake.py`` keeps state in memory for unit
tests. One contract test class (``tests/engine/test_contract.py``) runs against both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

from crewship.engine.running import AgentEngine


@dataclass(frozen=True, slots=True)
class EngineInfo:
    engine_id: str  # stable for one data root
    version: str  # "20.10.24"
    api_version: str  # "1.41"
    platform: str  # "linux/amd64"
    storage_driver: str  # "overlay2"
    data_root: str = ""  # where it keeps images, on its own machine; empty: not told
    clock: str = ""  # its time when it was asked, RFC 3339; empty: not told
    memory_bytes: int = 0  # of its machine; 0: not told
    on_this_machine: bool = False  # reached without a network, and the names of both are equal


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The part of an image's config that a commit writes; values are literal, never evaluated.

    An env entry without ``=`` (unset at start) and a label with an empty value count as absent.
    """

    env: tuple[tuple[str, str], ...] = ()
    cmd: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    working_dir: str = ""
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()  # reported by inspect; a commit keeps the parent's
    exposed_ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageInfo:
    image_id: str  # "sha256:…", the config id
    tags: tuple[str, ...]  # "debian:bookworm-slim"
    repo_digests: tuple[str, ...]  # "debian@sha256:…"; empty for imported images
    platform: str  # "linux/amd64"
    size_bytes: int
    created_at: str  # RFC 3339
    layer_count: int
    config: ImageConfig
    parent_id: str = ""  # of the image that a commit stands on; empty where the engine forgot it


@dataclass(frozen=True, slots=True)
class ImageTag:
    """One name that the engine gives to an image; the list view, cheap for a thousand of them."""

    tag: str
    image_id: str
    size_bytes: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Mount:
    """A named volume at a path; bind mounts of host paths are not offered on purpose."""

    volume: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A scratch container for one build step.

    It runs ``/bin/sh`` holding the container open as root; nothing about it (env, labels, cmd,
    proxies) may end in the committed image. stdin is closed.
    """

    name: str
    image: str  # id or tag
    network: str = "bridge"
    mounts: tuple[Mount, ...] = ()
    memory_bytes: int | None = None
    nano_cpus: int | None = None
    pids_limit: int | None = None


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    cancelled: bool = False  # the container was killed because ``cancel`` was set
    timed_out: str = ""  # "" | "idle" | "total"


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """``kind`` is "image" or "container", ``action`` the engine's word ("tag", "die", …)."""

    kind: str
    action: str
    actor_id: str
    name: str
    time_ns: int


OnOutput = Callable[[str], None]  # text as it arrives, stdout and stderr in one stream
OnProgress = Callable[[str], None]  # a readable line, at most a few a second


class Engine(AgentEngine, Protocol):
    """What a Docker host can do for us. Every call has a time-out and a typed error.

    Raises ``EngineUnreachable`` when the socket does not answer, ``EngineError`` else.
    """

    def info(self) -> EngineInfo: ...

    def ping(self) -> None:
        """The engine answers. Cheap: nothing is counted or listed, as ``info`` does."""

    # -- images
    def image(self, reference: str) -> ImageInfo | None:
        """The image under a tag or id; None when the host has none."""

    def image_tags(self, repository: str) -> list[ImageTag]:
        """All names ``repository:*`` on the host, sorted by tag."""

    def pull(
        self,
        reference: str,
        *,
        platform: str,
        credentials: RegistryCredentials | None,
        on_progress: OnProgress,
        cancel: Event,
    ) -> ImageInfo:
        """The image is on the host as its registry has it now.

        Raises ImageNotFound, RegistryAuth, RegistryRateLimited, RegistryUnreachable (the
        registry, not the engine, is the trouble), BuildCancelled when ``cancel`` was set.
        """

    def tag(self, image_id: str, tag: str) -> None:
        """``tag`` names ``image_id``, whatever it named before."""

    def remove_image(self, reference: str, *, force: bool = True) -> bool:
        """The name (or id) is gone; its parents stay (noprune). False when it was not there.

        Without ``force`` a last name that any container uses, stopped ones too, stays and raises
        ImageInUse: else the image would be left without a name. With it, a name is removed even
        while a stopped container uses the image; raises ImageInUse when a running container makes
        the engine refuse.
        """

    def import_rootfs(self, tar: Iterable[bytes], tag: str) -> str:
        """A root file system became an image with that tag; returns its id (bootstrap, tests)."""

    # -- scratch containers
    def create_container(self, spec: ContainerSpec) -> str:
        """A created, not started container; returns its id.

        Raises Conflict when the name is taken, ImageNotFound when the host lacks the image.
        """

    def start_container(self, container: str) -> None:
        """It runs and takes execs. Raises ShellMissing when its image has no /bin/sh."""

    def kill_container(self, container: str) -> None:
        """It does not run any more; no error when it did not run or is gone."""

    def remove_container(self, container: str) -> bool:
        """Killed and removed, with its anonymous volumes; False when there was none."""

    def container_output(self, container: str) -> str:
        """The end of what the container's own process printed (not its execs): why it ended, at
        most 20 lines and 4,000 characters. "" when there is no such container."""

    def container_names(self, prefix: str) -> list[str]:
        """Names (no leading slash) of all containers, running or not, that start with prefix."""

    def exec(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str,
        env: Sequence[tuple[str, str]] = (),
        workdir: str = "",
        on_output: OnOutput,
        on_stderr: OnOutput | None = None,
        cancel: Event,
        idle_timeout_s: float,
        timeout_s: float,
    ) -> ExecResult:
        """Run one process to its end and hand over its output live.

        Without ``on_stderr`` stdout and stderr are one pipe inside the container, so their lines
        arrive in the order in which they were written: the container's own /bin/sh joins them and
        then becomes the process. Its exit code, pid and signals stay; of its environment sh keeps
        PPID and OPTIND for itself, may add PWD, and drops names that no shell can have. With
        ``on_stderr`` argv is exec'd as it is, and stderr is handed over apart: for output that a
        program reads. argv's words and env values arrive literally.

        The container is killed (and the exit code is 137) when ``cancel`` is set (seen within
        0.2 s), when nothing was printed for idle_timeout_s, or after timeout_s. ``on_output`` is
        called in the caller's thread; while it works, cancel is not looked at. What it raises
        passes through and leaves the process running. Output is decoded as UTF-8 with replacement,
        split characters joined; NUL bytes dropped. Many threads may exec in one container at once.

        A missing user, command or working directory is exit code 126 or 127, with the engine's
        or the shell's words as output. A process left in the background ends the output about 2 s
        after its parent. Raises ContainerGone when the container does not run or was removed.
        """

    def written_bytes(self, prefix: str) -> dict[str, int]:
        """By name, for all containers whose name starts so: the bytes that each added to its
        image, and to anonymous volumes as far as they can be seen. The engine walks the files for
        it, which takes seconds where there are many."""

    def ran_out_of_memory(self, container: str) -> bool:
        """The kernel killed a process of the container because its memory limit was reached, at
        some time since it was made. False when it is gone."""

    def put_archive(self, container: str, path: str, tar: bytes | Iterable[bytes]) -> None:
        """The tar's members are below ``path`` (which exists) with their modes and owners.

        An iterator is streamed. Works before the container is started, too.
        """

    def commit(self, container: str, config: ImageConfig, tag: str) -> str:
        """What the container changed became an image named ``tag``; returns its id.

        ``config`` replaces the image's config: env and labels exactly as given, the parent's are
        not inherited; no cmd or entrypoint means none. An empty user is written as "0:0", an empty
        working_dir as "/". volumes, exposed ports and health check stay the parent's.
        """

    # -- watching
    def events(self, cancel: Event) -> Iterator[EngineEvent]:
        """Image and container events from this call on, until ``cancel`` is set (within 1 s) or
        the engine goes away (EngineUnreachable). Events of execs are left out."""
