"""What the fake engine has: images as frozen layers, containers, event queues."""

from __future__ import annotations

import hashlib
import io
import itertools
import tarfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from crewship.domain.errors import EngineError, ImageNotFound
from crewship.engine.base import ContainerSpec, EngineEvent, ImageConfig, ImageInfo, ImageTag
from crewship.engine.running import AgentSpec

AnySpec = TypeVar("AnySpec", ContainerSpec, AgentSpec)

CREATED_AT = "2026-01-02T03:04:05+00:00"
KILLED_EXIT_CODE = 137  # 128 + SIGKILL
PULLED_SIZE_BYTES = 1_000_000


@dataclass(frozen=True)
class FakeImage:
    image_id: str
    config: ImageConfig
    layer_count: int
    parent_id: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    shell: bool = True
    size_bytes: int | None = None  # None: by its files


@dataclass(eq=False)
class FakeContainer:
    container_id: str
    spec: ContainerSpec | AgentSpec
    image: FakeImage
    files: dict[str, bytes] = field(default_factory=dict)
    ran: list[tuple[str, ...]] = field(default_factory=list)
    running: threading.Event = field(default_factory=threading.Event)
    exit_code: int | None = None
    output: str = ""  # of an agent's process
    ignores_sigterm: bool = False


class FakeState:
    """Tables under one lock; every change is told to the subscribers."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._images: dict[str, FakeImage] = {}
        self._tags: dict[str, str] = {}  # tag -> image id
        self._containers: dict[str, FakeContainer] = {}
        self._subscribers: list[list[EngineEvent]] = []

    # -- images
    def new_image(
        self,
        config: ImageConfig,
        *,
        files: Mapping[str, bytes] | None = None,
        parent: FakeImage | None = None,
        changed: bool = True,
        shell: bool = True,
        size_bytes: int | None = None,
    ) -> FakeImage:
        """As with the real engine no two images are equal: the time of creation is in the id."""
        digest = hashlib.sha256(f"image {next(self._numbers)}".encode()).hexdigest()
        return FakeImage(
            image_id=f"sha256:{digest}",
            config=replace(config, labels=_without_empty(config.labels)),
            layer_count=parent.layer_count + changed if parent else 1,
            parent_id=parent.image_id if parent else "",
            files={**(parent.files if parent else {}), **(files or {})},
            shell=parent.shell if parent else shell,
            size_bytes=size_bytes,
        )

    def snapshot(self, container: FakeContainer, config: ImageConfig) -> FakeImage:
        parent = container.image
        written = replace(
            config,
            user=config.user or "0:0",
            working_dir=config.working_dir or "/",
            volumes=parent.config.volumes,
            exposed_ports=parent.config.exposed_ports,
        )
        # A commit of a container that changed nothing adds no layer; commands may have.
        changed = bool(container.files or container.ran)
        return self.new_image(written, files=container.files, parent=parent, changed=changed)

    def add(self, image: FakeImage, tag: str) -> str:
        tag = _full_tag(tag)
        with self._lock:
            self._images[image.image_id] = image
            if "@" not in tag:
                self._tags[tag] = image.image_id
        self._tell("image", "tag", image.image_id, tag)
        return image.image_id

    def find(self, reference: str) -> FakeImage | None:
        with self._lock:
            if reference.startswith("sha256:"):
                return self._images.get(reference)
            return self._images.get(self._tags.get(_full_tag(reference), ""))

    def find_or_raise(self, reference: str) -> FakeImage:
        found = self.find(reference)
        if found is None:
            raise ImageNotFound(f"The Docker host does not have the image {reference} (fake).")
        return found

    def info(self, image: FakeImage) -> ImageInfo:
        return ImageInfo(
            image_id=image.image_id,
            tags=self.tags_of(image),
            repo_digests=(),
            platform="linux/amd64",
            size_bytes=_size(image),
            created_at=CREATED_AT,
            layer_count=image.layer_count,
            config=image.config,
            parent_id=image.parent_id,
        )

    def tags_of(self, image: FakeImage) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(t for t, owner in self._tags.items() if owner == image.image_id))

    def tag_rows(self, repository: str) -> list[ImageTag]:
        with self._lock:
            return [
                ImageTag(tag, image_id, _size(self._images[image_id]), CREATED_AT)
                for tag, image_id in sorted(self._tags.items())
                if tag.rpartition(":")[0] == repository
            ]

    def children(self, image: FakeImage) -> bool:
        return any(other.parent_id == image.image_id for other in self._images.values())

    def users(self, image: FakeImage, *, running_only: bool) -> bool:
        return any(
            c.image is image and (c.running.is_set() or not running_only)
            for c in self._containers.values()
        )

    def is_last_name_in_use(self, image: FakeImage) -> bool:
        return len(self.tags_of(image)) == 1 and self.users(image, running_only=False)

    def remove(self, image: FakeImage, reference: str) -> None:
        """Names first; the image itself once it has none, and no child or running container."""
        with self._lock:
            by_id = reference.startswith("sha256:")
            for tag in self.tags_of(image) if by_id else (_full_tag(reference),):
                del self._tags[tag]
                self._tell("image", "untag", image.image_id, image.image_id)
            if self.tags_of(image) or self.children(image) or self.users(image, running_only=True):
                return
            del self._images[image.image_id]
        self._tell("image", "delete", image.image_id, image.image_id)

    # -- containers
    def new_container(self, spec: ContainerSpec | AgentSpec, image: FakeImage) -> FakeContainer:
        number = next(self._numbers)
        made = FakeContainer(hashlib.sha256(f"c {number}".encode()).hexdigest(), spec, image)
        with self._lock:
            self._containers[made.container_id] = made
        self._tell("container", "create", made.container_id, spec.name)
        return made

    def container(self, reference: str) -> FakeContainer | None:
        with self._lock:
            by_name = {c.spec.name: c for c in self._containers.values()}
            return self._containers.get(reference) or by_name.get(reference)

    def container_names(self, prefix: str) -> list[str]:
        with self._lock:
            names = (c.spec.name for c in self._containers.values())
            return sorted(name for name in names if name.startswith(prefix))

    def containers_of(self, kind: type[AnySpec]) -> list[tuple[FakeContainer, AnySpec]]:
        with self._lock:
            every = list(self._containers.values())
        return [(c, c.spec) for c in every if isinstance(c.spec, kind)]

    def start(self, container: FakeContainer) -> None:
        container.exit_code = None
        container.running.set()
        self._tell("container", "start", container.container_id, container.spec.name)

    def stop(self, container: FakeContainer, exit_code: int = KILLED_EXIT_CODE) -> None:
        if container.running.is_set():
            container.exit_code = exit_code
            container.running.clear()
            self._tell("container", "die", container.container_id, container.spec.name)

    def drop(self, container: FakeContainer) -> None:
        self.stop(container)
        with self._lock:
            self._containers.pop(container.container_id, None)
        self._tell("container", "destroy", container.container_id, container.spec.name)

    # -- events
    def subscribe(self) -> list[EngineEvent]:
        queue: list[EngineEvent] = []
        with self._lock:
            self._subscribers.append(queue)
        return queue

    def _tell(self, kind: str, action: str, actor_id: str, name: str) -> None:
        event = EngineEvent(kind, action, actor_id, name, time.time_ns())
        with self._lock:
            for queue in self._subscribers:
                queue.append(event)


def _full_tag(reference: str) -> str:
    named = "@" in reference or ":" in reference.rpartition("/")[2]
    return reference if named else f"{reference}:latest"


def _size(image: FakeImage) -> int:
    if image.size_bytes is not None:
        return image.size_bytes
    return PULLED_SIZE_BYTES + sum(map(len, image.files.values()))


def _without_empty(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if value}


def joined(tar: bytes | Iterable[bytes]) -> bytes:
    return tar if isinstance(tar, bytes) else b"".join(tar)


def tar_files(content: bytes, path: str) -> dict[str, bytes]:
    """The regular files of a tar by their absolute path in the container."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = [(member.name, archive.extractfile(member)) for member in archive]
            root = path.rstrip("/")
            return {
                f"{root}/{name.removeprefix('./').lstrip('/')}": data.read()
                for name, data in files
                if data
            }
    except tarfile.TarError as err:
        raise EngineError(f"The Docker engine failed while copying files: {err}") from err
