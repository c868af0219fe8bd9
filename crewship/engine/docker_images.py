"""Images through the SDK: inspect, list, tag, remove, import, commit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from docker.errors import APIError, NotFound
from docker.utils import parse_repository_tag

from crewship.domain.errors import EngineError, ImageInUse
from crewship.engine.base import ImageConfig, ImageInfo, ImageTag
from crewship.engine.docker_clients import DockerClients
from crewship.engine.docker_errors import engine_errors, explanation

Json = Mapping[str, Any]  # Any: the engine's JSON


class DockerImages(DockerClients):
    def image(self, reference: str) -> ImageInfo | None:
        with engine_errors(f"inspecting image {reference}"):
            try:
                found: Json = self._quick.inspect_image(reference)  # type: ignore[no-untyped-call]
            except NotFound:
                return None
        return image_info(found)

    def image_tags(self, repository: str) -> list[ImageTag]:
        with engine_errors(f"listing images of {repository}"):
            rows = self._quick.images(filters={"reference": repository})
        found = [
            ImageTag(
                tag=tag,
                image_id=row["Id"],
                size_bytes=row["Size"],
                created_at=datetime.fromtimestamp(row["Created"], UTC).isoformat(),
            )
            for row in rows
            for tag in row["RepoTags"] or ()
            if parse_repository_tag(tag)[0] == repository
        ]
        return sorted(found, key=lambda entry: entry.tag)

    def tag(self, image_id: str, tag: str) -> None:
        repository, name = split_tag(tag)
        with engine_errors(f"tagging {image_id} as {tag}"):
            self._quick.tag(image_id, repository, name, force=True)

    def remove_image(self, reference: str, *, force: bool = True) -> bool:
        # force only takes a name away (from an image that a stopped container uses, too); with an
        # id it would remove names that others gave to the image.
        is_id = reference.startswith("sha256:")
        with engine_errors(f"removing image {reference}"):
            try:
                self._act.remove_image(reference, force=force and not is_id, noprune=True)
            except NotFound:
                return False
            except APIError as err:
                if err.status_code == 409:
                    raise ImageInUse(f"Image {reference} is in use: {explanation(err)}") from err
                raise
        return True

    def import_rootfs(self, tar: Iterable[bytes], tag: str) -> str:
        repository, name = split_tag(tag)
        body: Any = iter(tar)  # Any: requests streams an iterator, which the stubs do not know
        with engine_errors(f"importing {tag}"):
            text = self._long.import_image_from_stream(body, repository=repository, tag=name)
        # The status is 200 whatever happens; the last JSON line has the id or the error.
        last = json.loads(text.strip().splitlines()[-1])
        if "error" in last:
            raise EngineError(f"The Docker engine could not import {tag}: {last['error']}")
        return str(last["status"])

    def commit(self, container: str, config: ImageConfig, tag: str) -> str:
        repository, name = split_tag(tag)
        with engine_errors(f"committing {tag}"):
            built_on = self._quick.inspect_container(container)["Config"]
            answer = self._long.commit(
                container, repository=repository, tag=name, conf=commit_conf(config, built_on)
            )
        return str(answer["Id"])


def commit_conf(config: ImageConfig, built_on: Json) -> dict[str, Any]:  # Any: JSON
    """The body of a commit after which the image's config is ``config``, for its users.

    The engine merges the container's config into the one posted, and the container's holds its
    image's. It cannot be told to leave something out, so what ``config`` lacks is made void key by
    key: a bare name in Env is unset when a container starts, a label keeps an empty value.
    ``image_info`` reads both as absent. An empty User, WorkingDir, Cmd or Entrypoint would be
    replaced by the container's as well; so the defaults are spelled out, and scratch containers
    hold themselves open by their Entrypoint and have no Cmd that could be inherited.
    """
    env = dict(config.env)
    labels = dict(config.labels)
    inherited = [entry.partition("=")[0] for entry in built_on.get("Env") or ()]
    return {
        "Env": [f"{key}={value}" for key, value in env.items()]
        + [key for key in inherited if key not in env],
        "Labels": dict.fromkeys(built_on.get("Labels") or {}, "") | labels,
        "Cmd": list(config.cmd or ()),
        "Entrypoint": list(config.entrypoint or ()),
        "WorkingDir": config.working_dir or "/",
        "User": config.user or "0:0",
    }


def image_info(found: Json) -> ImageInfo:
    """What ``GET /images/{name}/json`` says, as our type."""
    config = found.get("Config") or {}
    platform = f"{found['Os']}/{found['Architecture']}"
    if found.get("Variant"):
        platform += f"/{found['Variant']}"
    return ImageInfo(
        image_id=found["Id"],
        tags=tuple(found.get("RepoTags") or ()),
        repo_digests=tuple(found.get("RepoDigests") or ()),
        platform=platform,
        size_bytes=found["Size"],
        created_at=found.get("Created") or "",
        layer_count=len((found.get("RootFS") or {}).get("Layers") or ()),
        parent_id=found.get("Parent") or "",
        config=ImageConfig(
            env=tuple(
                (key, value)
                for key, equals, value in (
                    entry.partition("=") for entry in config.get("Env") or ()
                )
                if equals
            ),
            cmd=tuple(config.get("Cmd") or ()) or None,
            entrypoint=tuple(config.get("Entrypoint") or ()) or None,
            working_dir=config.get("WorkingDir") or "",
            user=config.get("User") or "",
            labels={key: value for key, value in (config.get("Labels") or {}).items() if value},
            volumes=tuple(sorted(config.get("Volumes") or ())),
            exposed_ports=tuple(sorted(config.get("ExposedPorts") or ())),
        ),
    )


def split_tag(tag: str) -> tuple[str, str]:
    """Repository and tag of a name to give; the tag is ``latest`` where none is written."""
    repository, name = parse_repository_tag(tag)
    return repository, name or "latest"
