"""What we made on a host, which of it stands on what, and how many bytes each adds.

The bytes of an image that are its own are its size less that of the image it stands on, both as
the engine reports them: layers that images share count once, with the lowest, and a base image,
which is not ours, not at all. They are free once the engine has the image no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from cache.models import (
    CACHE_REPOSITORY,
    LAYER_REPOSITORY,
    RETIRED,
    CachedImage,
    DockerHost,
    Layer,
)
from crewship.engine.base import Engine


@dataclass(frozen=True, slots=True)
class Entry:
    """An image of ours: one for a config, or a layer."""

    row: CachedImage | Layer
    size_bytes: int  # with all that it stands on
    own_bytes: int  # 0 where the engine has it no more

    @property
    def kind(self) -> str:
        return "image" if isinstance(self.row, CachedImage) else "layer"

    @property
    def tag(self) -> str:
        return self.row.tag

    @property
    def image_id(self) -> str:
        return self.row.image_id


@dataclass(frozen=True, slots=True)
class Stock:
    entries: Mapping[str, Entry]  # by image id
    parents_of_drafts: frozenset[str]  # what layers stand on that are being built now

    @property
    def used_bytes(self) -> int:
        return sum(entry.own_bytes for entry in self.entries.values())

    def below(self, image_ids: Iterable[str]) -> set[str]:
        """All that the images stand on, and what is being built now, down to the bases."""
        found: set[str] = set()
        rest = [self.entries[image_id].row.parent_image_id for image_id in image_ids]
        rest += self.parents_of_drafts
        while rest:
            parent = rest.pop()
            if parent in self.entries and parent not in found:
                found.add(parent)
                rest.append(self.entries[parent].row.parent_image_id)
        return found

    def children(self) -> Counter[str]:
        """How many of our images stand on each."""
        return Counter(
            [entry.row.parent_image_id for entry in self.entries.values()]
            + list(self.parents_of_drafts)
        )

    def leaves_first(self, image_ids: Iterable[str]) -> list[Entry]:
        """Of those that could go now, always the least recently used next."""
        left = {image_id: self.entries[image_id] for image_id in image_ids}
        children = Counter(entry.row.parent_image_id for entry in left.values())
        leaves = [_by_use(entry) for image_id, entry in left.items() if not children[image_id]]
        heapify(leaves)
        order: list[Entry] = []
        while leaves:
            entry = left[heappop(leaves)[1]]
            order.append(entry)
            parent = entry.row.parent_image_id
            children[parent] -= 1
            if parent in left and not children[parent]:
                heappush(leaves, _by_use(left[parent]))
        return order


def _by_use(entry: Entry) -> tuple[float, str]:
    return (entry.row.last_used_at.timestamp(), entry.image_id)


def read_stock(engine: Engine, host: DockerHost) -> Stock:
    """With the sizes that the engine reports now. Raises EngineError."""
    _complete_retired(engine, host)
    listed = {
        (image.tag, image.image_id): image.size_bytes
        for repository in (CACHE_REPOSITORY, LAYER_REPOSITORY)
        for image in engine.image_tags(repository)
    }
    rows = _rows(host)
    size_of = {row.image_id: listed.get((row.tag, row.image_id), 0) for row in rows}
    bases = {row.parent_image_id for row in rows} - set(size_of) - {""}
    for image_id in bases:
        found = engine.image(image_id)
        size_of[image_id] = found.size_bytes if found else 0
    return _stock(host, rows, size_of)


def stock_of_records(host: DockerHost) -> Stock:
    """From our records alone; what the lowest layers add is not known then."""
    rows = _rows(host)
    return _stock(host, rows, {row.image_id: row.size_bytes for row in rows})


def _rows(host: DockerHost) -> list[CachedImage | Layer]:
    layers = Layer.objects.filter(host=host).exclude(image_id="")
    return [*layers, *CachedImage.objects.filter(host=host)]


def _stock(host: DockerHost, rows: list[CachedImage | Layer], size_of: Mapping[str, int]) -> Stock:
    drafts = Layer.objects.filter(host=host, image_id="")
    return Stock(
        {
            row.image_id: Entry(
                row,
                size_of[row.image_id],
                max(0, size_of[row.image_id] - size_of.get(row.parent_image_id, 0)),
            )
            for row in rows
        },
        frozenset(drafts.values_list("parent_image_id", flat=True)),
    )


def _complete_retired(engine: Engine, host: DockerHost) -> None:
    """Rows of an older version, which did not note what they stand on: in a wrong order, images
    without a name would be left."""
    for row in Layer.objects.filter(host=host, kind=RETIRED, parent_image_id=""):
        seen = engine.image(row.tag)
        if seen is not None and seen.image_id == row.image_id and seen.parent_id:
            size, parent = seen.size_bytes, seen.parent_id
            Layer.objects.filter(pk=row.pk).update(parent_image_id=parent, size_bytes=size)
