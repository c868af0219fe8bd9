"""A work bench on one engine: names of its own, and nothing left behind."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Callable, Sequence
from threading import Event

from crewship.engine.base import ContainerSpec, Engine, ExecResult, ImageConfig, Mount
from tests.engine.real import BASE_IMAGE


class Bench:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.prefix = f"crewship-enginetest-{uuid.uuid4().hex[:12]}"
        self._image_ids: list[str] = []

    def name(self, word: str) -> str:
        """A name of a container, or of an image (``word`` is its tag then)."""
        return f"{self.prefix}-{word}"

    def tag(self, word: str) -> str:
        return f"{self.prefix}:{word}"

    def container(
        self,
        image: str = BASE_IMAGE,
        *,
        start: bool = True,
        mounts: Sequence[Mount] = (),
        memory_bytes: int | None = None,
    ) -> str:
        name = self.name(uuid.uuid4().hex[:8])
        spec = ContainerSpec(name, image, mounts=tuple(mounts), memory_bytes=memory_bytes)
        container = self.engine.create_container(spec)
        if start:
            self.engine.start_container(container)
        return container

    def run(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str = "root",
        env: Sequence[tuple[str, str]] = (),
        workdir: str = "",
        on_output: Callable[[str], None] | None = None,
        on_stderr: Callable[[str], None] | None = None,
        cancel: Event | None = None,
        idle_timeout_s: float = 30,
        timeout_s: float = 60,
    ) -> tuple[ExecResult, str]:
        """One exec: its result and all of its output."""
        output: list[str] = []

        def take(text: str) -> None:
            output.append(text)
            if on_output:
                on_output(text)

        result = self.engine.exec(
            container,
            argv,
            user=user,
            env=env,
            workdir=workdir,
            on_output=take,
            on_stderr=on_stderr,
            cancel=cancel or Event(),
            idle_timeout_s=idle_timeout_s,
            timeout_s=timeout_s,
        )
        return result, "".join(output)

    def commit(self, container: str, word: str, config: ImageConfig | None = None) -> str:
        image_id = self.engine.commit(container, config or ImageConfig(), self.tag(word))
        return self.adopt(image_id)

    def import_files(self, word: str, files: dict[str, bytes]) -> str:
        image_id = self.engine.import_rootfs([tar_of(files)], self.tag(word))
        return self.adopt(image_id)

    def adopt(self, image_id: str) -> str:
        """``clear`` removes the image even when its name went to another one."""
        self._image_ids.append(image_id)
        return image_id

    def clear(self) -> None:
        for name in self.engine.container_names(self.prefix):
            self.engine.remove_container(name)
        for entry in self.engine.image_tags(self.prefix):
            self.engine.remove_image(entry.tag)
        for image_id in reversed(self._image_ids):
            self.engine.remove_image(image_id)


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
