"""An engine in memory for unit tests; ``tests/engine/test_contract.py`` keeps it honest::

fake = FakeEngine()
fake.publish("debian:bookworm-slim", ImageConfig(cmd=("bash",)))
fake.on_exec(lambda call: FakeRun("no\\n", exit_code=1) if call.argv[0] == "false" else None)
fake.fail_next("commit", DiskFull("full"))
assert [call.method for call in fake.calls] == [...]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from crewship.domain.errors import (
    BuildCancelled,
    Conflict,
    ContainerGone,
    EngineUnreachable,
    ImageInUse,
    ImageNotFound,
    ShellMissing,
)
from crewship.engine.base import (
    ContainerSpec,
    EngineEvent,
    EngineInfo,
    ExecResult,
    ImageConfig,
    ImageInfo,
    ImageTag,
    OnOutput,
    OnProgress,
    RegistryCredentials,
)
from crewship.engine.fake_agents import FakeAgents
from crewship.engine.fake_state import (
    KILLED_EXIT_CODE,
    FakeContainer,
    FakeImage,
    FakeState,
    joined,
    tar_files,
)

TICK_S = 0.01


@dataclass(frozen=True, slots=True)
class FakeCall:
    method: str  # "commit"
    args: Mapping[str, Any]  # Any: the arguments by name, as given


@dataclass(frozen=True, slots=True)
class FakeExec:
    """What an exec handler sees."""

    container: str  # the container's name
    image: str  # what its spec named
    argv: tuple[str, ...]
    user: str
    env: Mapping[str, str]
    workdir: str
    files: Mapping[str, bytes]  # by absolute path: of the image, then put into the container


@dataclass(frozen=True, slots=True)
class FakeRun:
    """What a process prints (``stderr`` after ``output``), how long it then runs, how it ends,
    which files it leaves."""

    output: str | Sequence[str] = ""
    exit_code: int = 0
    sleep_s: float = 0.0  # cut short by cancel, time-outs and a kill
    files: Mapping[str, bytes] = field(default_factory=dict)
    stderr: str = ""


ExecHandler = Callable[[FakeExec], FakeRun | None]


class FakeEngine(FakeAgents):
    """Implements Engine. Without handlers every command succeeds silently."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[FakeCall] = []
        self.last_words = ""  # what containers printed before they ended
        self.written: dict[str, int] = {}  # by container's name: bytes that it added
        self.out_of_memory = False  # whether the kernel killed what ended
        self.unreachable = False  # True: every call raises EngineUnreachable, event streams end
        self._state = FakeState()
        self._handlers: list[ExecHandler] = []
        self._failures: dict[str, list[BaseException]] = {}
        self._registry: dict[str, FakeImage] = {}

    # -- what tests script
    def on_exec(self, handler: ExecHandler) -> None:
        """Handlers are asked newest first; None passes the call on."""
        self._handlers.insert(0, handler)

    def fail_next(self, method: str, error: BaseException) -> None:
        """The next call of ``method`` (such as "commit") raises ``error``; calls queue up."""
        self._failures.setdefault(method, []).append(error)

    def publish(
        self,
        reference: str,
        config: ImageConfig | None = None,
        *,
        files: Mapping[str, bytes] | None = None,
        shell: bool = True,
    ) -> str:
        """A registry has the image now (again: the tag moved); returns the id a pull will give."""
        image = self._state.new_image(config or ImageConfig(), files=files or {}, shell=shell)
        self._registry[reference] = image
        return image.image_id

    def add_image(
        self,
        tag: str,
        config: ImageConfig | None = None,
        *,
        shell: bool = True,
        parent: str = "",
        size_bytes: int | None = None,
    ) -> str:
        """The host has the image under ``tag``, on the image with the id ``parent``; returns its
        id. ``size_bytes`` is what the engine says, with all that it stands on."""
        image = self._state.new_image(
            config or ImageConfig(),
            shell=shell,
            parent=self._state.find_or_raise(parent) if parent else None,
            size_bytes=size_bytes,
        )
        return self._state.add(image, tag)

    def files(self, reference: str) -> Mapping[str, bytes]:
        """The files of an image that were put or written on top of it, by absolute path."""
        return self._state.find_or_raise(reference).files

    def call_args(self, method: str) -> list[Mapping[str, Any]]:  # Any: as in FakeCall
        return [call.args for call in self.calls if call.method == method]

    def _called(self, method: str, **args: Any) -> None:  # Any: as in FakeCall
        self.calls.append(FakeCall(method, args))
        if self.unreachable:
            raise EngineUnreachable("The Docker engine does not answer (fake).")
        if queued := self._failures.get(method):
            raise queued.pop(0)

    # -- Engine: images
    def info(self) -> EngineInfo:
        self._called("info")
        return EngineInfo("fake-engine", "0.0.0", "1.41", "linux/amd64", "memory")

    def ping(self) -> None:
        self._called("ping")

    def image(self, reference: str) -> ImageInfo | None:
        self._called("image", reference=reference)
        found = self._state.find(reference)
        return self._state.info(found) if found else None

    def image_tags(self, repository: str) -> list[ImageTag]:
        self._called("image_tags", repository=repository)
        return self._state.tag_rows(repository)

    def pull(
        self,
        reference: str,
        *,
        platform: str,
        credentials: RegistryCredentials | None,
        on_progress: OnProgress,
        cancel: Event,
    ) -> ImageInfo:
        self._called("pull", reference=reference, platform=platform, credentials=credentials)
        if cancel.is_set():
            raise BuildCancelled(f"Pulling {reference} was cancelled.")
        published = self._registry.get(reference)
        if published is None:
            raise ImageNotFound(f"Image {reference} was not found (fake).")
        on_progress("pulled 1 layers, 1 MB")
        self._state.add(published, reference)
        return self._state.info(published)

    def tag(self, image_id: str, tag: str) -> None:
        self._called("tag", image_id=image_id, tag=tag)
        self._state.add(self._state.find_or_raise(image_id), tag)

    def remove_image(self, reference: str, *, force: bool = True) -> bool:
        self._called("remove_image", reference=reference)
        image = self._state.find(reference)
        if image is None:
            return False
        if reference.startswith("sha256:"):
            if self._state.users(image, running_only=False) or self._state.children(image):
                raise ImageInUse(f"Image {reference} is in use (fake).")
            if len({tag.rpartition(":")[0] for tag in self._state.tags_of(image)}) > 1:
                raise ImageInUse(f"Image {reference} is referenced in multiple repositories.")
        elif not force and self._state.is_last_name_in_use(image):
            raise ImageInUse(f"A container uses {reference} (fake).")
        self._state.remove(image, reference)
        return True

    def import_rootfs(self, tar: Iterable[bytes], tag: str) -> str:
        self._called("import_rootfs", tag=tag)
        files = tar_files(joined(tar), "/")
        image = self._state.new_image(ImageConfig(), files=files, shell="/bin/sh" in files)
        return self._state.add(image, tag)

    # -- Engine: containers
    def create_container(self, spec: ContainerSpec) -> str:
        self._called("create_container", spec=spec)
        image = self._state.find(spec.image)
        if image is None:
            raise ImageNotFound(f"The Docker host does not have the image {spec.image} (fake).")
        if self._state.container(spec.name):
            raise Conflict(f"The container name {spec.name} is taken (fake).")
        return self._state.new_container(spec, image).container_id

    def start_container(self, container: str) -> None:
        self._called("start_container", container=container)
        found = self._existing(container)
        if not found.image.shell:
            raise ShellMissing("The image has no /bin/sh to run build steps with.")
        self._state.start(found)

    def kill_container(self, container: str) -> None:
        self._called("kill_container", container=container)
        if found := self._state.container(container):
            self._state.stop(found)

    def remove_container(self, container: str) -> bool:
        self._called("remove_container", container=container)
        found = self._state.container(container)
        if found is None:
            return False
        self._state.drop(found)
        return True

    def container_output(self, container: str) -> str:
        self._called("container_output", container=container)
        return self.last_words if self._state.container(container) else ""

    def container_names(self, prefix: str) -> list[str]:
        self._called("container_names", prefix=prefix)
        return self._state.container_names(prefix)

    def written_bytes(self, prefix: str) -> dict[str, int]:
        self._called("written_bytes", prefix=prefix)
        return {name: self.written.get(name, 0) for name in self._state.container_names(prefix)}

    def ran_out_of_memory(self, container: str) -> bool:
        self._called("ran_out_of_memory", container=container)
        return self.out_of_memory and self._state.container(container) is not None

    def put_archive(self, container: str, path: str, tar: bytes | Iterable[bytes]) -> None:
        content = joined(tar)
        self._called("put_archive", container=container, path=path, size=len(content))
        self._existing(container).files.update(tar_files(content, path))

    def commit(self, container: str, config: ImageConfig, tag: str) -> str:
        self._called("commit", container=container, config=config, tag=tag)
        found = self._existing(container)
        return self._state.add(self._state.snapshot(found, config), tag)

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
        call = {"container": container, "argv": tuple(argv), "user": user, "env": tuple(env)}
        self._called("exec", **call, workdir=workdir)
        found = self._state.container(container)
        if cancel.is_set():
            self.kill_container(container)
            return ExecResult(KILLED_EXIT_CODE, cancelled=True)
        if found is None or not found.running.is_set():
            raise ContainerGone("The container does not run any more (fake).")
        files = {**found.image.files, **found.files}
        spec = found.spec
        run = self._answer(
            FakeExec(spec.name, spec.image, tuple(argv), user, dict(env), workdir, files)
        )
        found.files.update(run.files)
        found.ran.append(tuple(argv))
        for text in [run.output] if isinstance(run.output, str) else run.output:
            if text:
                on_output(text.replace("\0", ""))
        if run.stderr:
            (on_stderr or on_output)(run.stderr)
        return self._run_out(found, run, cancel, idle_timeout_s, timeout_s)

    def _answer(self, call: FakeExec) -> FakeRun:
        for handler in self._handlers:
            if (run := handler(call)) is not None:
                return run
        return FakeRun()

    def _run_out(
        self, found: FakeContainer, run: FakeRun, cancel: Event, idle_s: float, total_s: float
    ) -> ExecResult:
        begun = time.monotonic()
        while (elapsed := time.monotonic() - begun) < run.sleep_s:
            cancelled = cancel.is_set()
            timed_out = "total" if elapsed >= total_s else "idle" if elapsed >= idle_s else ""
            if cancelled or timed_out:
                self.kill_container(found.container_id)
                return ExecResult(KILLED_EXIT_CODE, cancelled, "" if cancelled else timed_out)
            if not found.running.is_set():
                return ExecResult(KILLED_EXIT_CODE)
            cancel.wait(TICK_S)
        return ExecResult(run.exit_code)

    def events(self, cancel: Event) -> Iterator[EngineEvent]:
        self._called("events")
        return self._read_events(self._state.subscribe(), cancel)

    def _read_events(self, queue: list[EngineEvent], cancel: Event) -> Iterator[EngineEvent]:
        while not cancel.is_set():
            if queue:
                yield queue.pop(0)
            elif self.unreachable:
                raise EngineUnreachable("The Docker engine went away (fake).")
            else:
                cancel.wait(TICK_S)

    def _existing(self, container: str) -> FakeContainer:
        found = self._state.container(container)
        if found is None:
            raise ContainerGone(f"The container {container} is gone (fake).")
        return found
