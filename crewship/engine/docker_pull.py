"""Pulling: the engine's progress records as readable lines, its failures as typed errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Any

from docker.errors import APIError
from docker.utils import parse_repository_tag

from crewship.domain.errors import BuildCancelled, EngineError
from crewship.engine.base import ImageInfo, OnProgress, RegistryCredentials
from crewship.engine.docker_errors import (
    SDK_FAILURES,
    as_engine_error,
    explanation,
    pull_error,
)
from crewship.engine.docker_images import DockerImages
from crewship.engine.docker_streams import Item, OpenStream, StreamReader

LINE_EVERY_S = 0.5
_LAYER_WORDS = ("pulling fs layer", "waiting", "downloading", "verifying", "download complete")
_UNPACKING = ("extracting",)
_LAYER_DONE = ("pull complete", "already exists")


class DockerPulls(DockerImages):
    def pull(
        self,
        reference: str,
        *,
        platform: str,
        credentials: RegistryCredentials | None,
        on_progress: OnProgress,
        cancel: Event,
    ) -> ImageInfo:
        self._pull_layers(
            reference, self._opener(reference, platform, credentials), on_progress, cancel
        )
        if cancel.is_set():
            raise BuildCancelled(f"Pulling {reference} was cancelled.")
        found = self.image(reference)
        if found is None:
            raise EngineError(f"The Docker engine pulled {reference} and does not have it.")
        return found

    def _opener(
        self, reference: str, platform: str, credentials: RegistryCredentials | None
    ) -> OpenStream:
        repository, tag = parse_repository_tag(reference)
        # None: the SDK looks into the operator's docker config.json and its helpers.
        auth = _auth_config(credentials) if credentials else None
        client = self._long
        return lambda: client.pull(
            repository,
            tag=tag or "latest",
            stream=True,
            decode=True,
            auth_config=auth,
            platform=platform or None,
        )

    def _pull_layers(
        self, reference: str, open_stream: OpenStream, on_progress: OnProgress, cancel: Event
    ) -> None:
        progress = PullProgress()
        for record in _records(reference, open_stream, cancel):
            if "error" in record:
                raise pull_error(reference, str(record["error"]))
            line = progress.line_after(record)
            if line:
                on_progress(line)
        if not cancel.is_set():
            on_progress(progress.line())


def _records(reference: str, open_stream: OpenStream, cancel: Event) -> Iterator[Item]:
    """A generator, so that what ``on_progress`` raises is not taken for the engine's failure."""
    try:
        yield from StreamReader(open_stream, cancel)
    except APIError as err:
        raise pull_error(reference, explanation(err), err.status_code) from err
    except SDK_FAILURES as err:
        raise as_engine_error(err, f"pulling {reference}") from err


class PullProgress:
    """Counts layers and bytes; gives a line when something changed, at most two a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_at = float("-inf")
        self._last = ""
        self._layers: dict[str, int] = {}  # layer id -> bytes downloaded
        self._unpacking: set[str] = set()
        self._done: set[str] = set()

    def line_after(self, record: Mapping[str, Any]) -> str:  # Any: the engine's JSON
        """The line to show after this record, or "" when there is nothing new to say yet."""
        self._count(record)
        now = self._clock()
        line = self.line()
        if not self._layers or line == self._last or now - self._last_at < LINE_EVERY_S:
            return ""
        self._last_at, self._last = now, line
        return line

    def line(self) -> str:
        if not self._layers:
            return "up to date"
        megabytes = sum(self._layers.values()) / 1_000_000
        state = "unpacking" if self._unpacking - self._done else "pulling"
        total = len(self._layers)
        if len(self._done) == total:
            return f"pulled {total} layers, {megabytes:.0f} MB"
        return f"{state} {len(self._done)} of {total} layers, {megabytes:.0f} MB"

    def _count(self, record: Mapping[str, Any]) -> None:  # Any: the engine's JSON
        layer, status = record.get("id", ""), str(record.get("status", "")).lower()
        if status.startswith(_LAYER_WORDS + _UNPACKING + _LAYER_DONE) and layer:
            self._layers.setdefault(layer, 0)
        detail = record.get("progressDetail") or {}
        if status.startswith("downloading"):
            self._layers[layer] = max(self._layers[layer], int(detail.get("current") or 0))
        elif status.startswith(_UNPACKING):
            self._unpacking.add(layer)
            # The total of the unpacking is the compressed size: right where the download was
            # too quick to be reported.
            self._layers[layer] = max(self._layers[layer], int(detail.get("total") or 0))
        elif status.startswith(_LAYER_DONE):
            self._done.add(layer)


def _auth_config(credentials: RegistryCredentials) -> dict[str, str]:
    if credentials.identity_token:
        return {"username": credentials.username, "identitytoken": credentials.identity_token}
    return {"username": credentials.username, "password": credentials.password}
