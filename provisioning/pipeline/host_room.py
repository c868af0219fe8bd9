"""What a build may take of its host's disk: so much for a layer, and never the last of it.

Each build looks for itself, so nothing is shared but the disk. When it gets short, the build whose
container wrote most goes first, and the others go on in the room that this gives back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from crewship.domain.errors import ConfigError, DiskFull, EngineError, Unavailable
from crewship.engine.disk import DiskSpace
from provisioning.pipeline.context import CONTAINER_PREFIX, Context, Tools

T = TypeVar("T")
log = logging.getLogger(__name__)

LOOK_S = 0.5  # between two looks at the free space, which cost nothing
MEASURE_S = 5.0  # at least this between two measurements of a container, which walk its files
MEASURE_SHARE = 20  # and at least so many times what the last one took
OTHERS_S = 10.0  # how long a bigger build has to be gone before this one is stopped too
ROOM_S = 60.0  # how long a layer that failed for want of room waits to be begun again


class InsufficientStorage(Unavailable):
    """The Docker host's disk has less free space than builds must leave it."""

    code = "insufficient_storage"
    hint = "Free space on the Docker host: `crewship cache gc`, `docker system df`."


class LayerTooBig(ConfigError):
    """A step added more to the image than one layer may have."""

    code = "layer_too_big"
    hint = "Make the step add less, spread it over features, or raise CREWSHIP_MAX_LAYER_BYTES."


class DiskTaken(DiskFull):
    """The disk was full while another build was the one that filled it."""


class Guard:
    """Looks after one container (or, without a name, after a pull) from a thread of its own and
    calls ``stop`` when it must end; ``check`` then says why."""

    def __init__(
        self, context: Context, tools: Tools, stop: Callable[[], None], container: str = ""
    ) -> None:
        self._context = context
        self._tools = tools
        self._stop = stop
        self._container = container
        self._verdict: InsufficientStorage | LayerTooBig | None = None
        self._short_since: float | None = None
        self._measure_at = time.monotonic() + MEASURE_S
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="host-room", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """An engine that hangs is not waited for: the thread ends with its call."""
        self._closing.set()
        self._thread.join(LOOK_S)

    def check(self) -> None:
        """Raises InsufficientStorage or LayerTooBig if the work was stopped for it."""
        if self._verdict is not None:
            raise self._verdict

    def check_layer(self) -> None:
        """Before a commit, which copies what the container wrote: it is no more than a layer may
        have, and there is room for the copy, now or, where others took it, within OTHERS_S.
        Raises as ``check``."""
        self.check()
        written = self._written().get(self._container, 0)
        if too_big := self._too_big(written):
            raise too_big
        give_up = time.monotonic() + OTHERS_S
        while written and (space := self._tools.disk(self._context.known_host)):
            if space.free_bytes - written >= self._floor(space):
                return
            if time.monotonic() >= give_up or self._is_cause(space, written):
                raise insufficient(space, self._floor(space), f" The layer has {_size(written)}.")
            self._tools.cancel.wait(LOOK_S)
            self._tools.check_cancelled()

    def _is_biggest(self, written: Mapping[str, int]) -> bool:
        """No other build's container on the host wrote more than this one."""
        own = (written.get(self._container, 0), self._container)
        return all(own >= (size, name) for name, size in written.items())

    def others_filled_disk(self) -> bool:
        """Whether a full disk was another build's doing: one that wrote more is there still, or it
        is gone, and so there is room again although this container still has all it wrote."""
        if not self._is_biggest(self._written()):
            return True
        seen = self._tools.disk(self._context.known_host)
        return seen is not None and seen.free_bytes >= self._floor(seen)

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S):
            try:
                self._verdict = self._verdict or self._look()
                if self._verdict is not None or self._tools.cancel.is_set():
                    self._stop()
                    return
            except EngineError as err:  # whoever works in the container is told; here: try again
                log.warning("%s is not looked after now: %s", self._container or "a pull", err)

    def _look(self) -> InsufficientStorage | LayerTooBig | None:
        space = short_disk(self._context, self._tools)
        if space is None:
            self._short_since = None
            return self._measure()
        now = time.monotonic()
        self._short_since = self._short_since or now
        if now - self._short_since < OTHERS_S and not self._is_cause(space):
            return None
        return insufficient(space, self._floor(space))

    def _is_cause(self, space: DiskSpace, more: int = 0) -> bool:
        """No other build wrote more, and what this one wrote would be room enough, ``more`` bytes
        for its commit included (of a pull that is not known). A bigger one that was stopped is
        gone from the engine's list some time before its bytes are."""
        try:
            written = self._written()
            missing = self._floor(space) + more - space.free_bytes
            enough = not self._container or written.get(self._container, 0) >= missing
            return enough and self._is_biggest(written)
        except EngineError:  # a full disk may be what ails it; the wait has an end
            return False

    def _measure(self) -> LayerTooBig | None:
        began = time.monotonic()
        if not self._container or not self._tools.options.max_layer_bytes:
            return None
        if began < self._measure_at:
            return None
        written = self._tools.engine.written_bytes(self._container).get(self._container, 0)
        took = time.monotonic() - began
        self._measure_at = time.monotonic() + max(MEASURE_S, took * MEASURE_SHARE)
        return self._too_big(written)

    def _too_big(self, written: int) -> LayerTooBig | None:
        most = self._tools.options.max_layer_bytes
        if not most or written <= most:
            return None
        return LayerTooBig(
            f"The step was stopped: it added {_size(written)}, and a layer may have {_size(most)}."
        )

    def _written(self) -> dict[str, int]:
        return self._tools.engine.written_bytes(CONTAINER_PREFIX)

    def _floor(self, space: DiskSpace) -> int:
        return space.floor_bytes(self._tools.options.disk_floor_bytes)


@contextmanager
def guarded(
    context: Context, tools: Tools, stop: Callable[[], None], container: str = ""
) -> Iterator[Guard]:
    guard = Guard(context, tools, stop, container)
    guard.start()
    try:
        yield guard
    finally:
        guard.close()


def short_disk(context: Context, tools: Tools) -> DiskSpace | None:
    """The engine's disk while it has less free than its floor; None also where it is not seen."""
    if not tools.options.disk_floor_bytes:
        return None
    space = tools.disk(context.known_host)
    if space is None or space.free_bytes >= space.floor_bytes(tools.options.disk_floor_bytes):
        return None
    return space


def require_room(context: Context, tools: Tools) -> None:
    """The disk has its floor, now or within OTHERS_S. Raises InsufficientStorage."""
    if space := _still_short(context, tools, OTHERS_S):
        raise insufficient(space, space.floor_bytes(tools.options.disk_floor_bytes))


def begun_again(context: Context, tools: Tools, what: str, attempt: Callable[[], T]) -> T:
    """What ``attempt`` gives; it is called once more when another build had filled the disk and
    there is room again within ROOM_S. Raises what it raises."""
    try:
        return attempt()
    except DiskTaken:
        seen = tools.options.disk_floor_bytes and tools.disk(context.known_host)
        if not seen or _still_short(context, tools, ROOM_S):
            raise
    tools.emit.system(f"The Docker host's disk was full for a while: {what} begins again")
    return attempt()


def _still_short(context: Context, tools: Tools, within_s: float) -> DiskSpace | None:
    deadline = time.monotonic() + within_s
    while (space := short_disk(context, tools)) and time.monotonic() < deadline:
        tools.cancel.wait(LOOK_S)
        tools.check_cancelled()
    return space


def insufficient(space: DiskSpace, floor: int, why: str = "") -> InsufficientStorage:
    free, total = _size(space.free_bytes), _size(space.total_bytes)
    return InsufficientStorage(
        f"The Docker host's disk is nearly full: {free} of {total} are free, and builds leave "
        f"{_size(floor)}.{why}",
        hint=f"Free space on the Docker host ({space.root} has {free} free): `crewship cache gc`, "
        "`docker system df`.",
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
