"""The sweeper: what nobody uses any more is reported, and removed when the operator allows it.

Candidates come from our own tables, never from labels or a listing of the engine: another
installation's images, and everything that merely looks like ours, is not in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from cache.models import RETIRED, CachedImage, DockerHost, HostImage, Layer, LayerLease
from cache.stock import Entry, Stock, read_stock, stock_of_records
from cache.upkeep import Kind, Upkeep
from crewship.crews.models import Agent, Crew
from crewship.domain.errors import Conflict, EngineError, ImageInUse
from crewship.engine.base import Engine


class TooMuchAtOnce(Conflict):
    """A sweep would remove more than half of what we made."""

    code = "too_much_at_once"
    hint = "Look at it with --dry-run, then say --yes."


@dataclass(frozen=True, slots=True)
class SweepItem:
    """``size_bytes`` counts layers that it shares with others, ``freed_bytes`` is what went with
    it (or would go): 0 when something else still holds the image."""

    tag: str
    size_bytes: int
    kind: str  # "image" | "layer"
    freed_bytes: int = 0


@dataclass(slots=True)
class SweepReport:
    """What a sweep found and did. ``used_bytes`` is what we made before it (see ``stock``);
    ``high_bytes`` and ``low_bytes`` are the budget, None where the disk is not seen."""

    removed: bool
    items: list[SweepItem] = field(default_factory=list)
    kept_in_use: list[str] = field(default_factory=list)
    used_bytes: int = 0
    high_bytes: int | None = None
    low_bytes: int | None = None

    @property
    def freed_bytes(self) -> int:
        return sum(item.freed_bytes for item in self.items)

    @property
    def over_budget(self) -> bool:
        """Before the sweep."""
        return self.high_bytes is not None and self.used_bytes > self.high_bytes


@dataclass(frozen=True, slots=True)
class Share:
    """How much of what we made one sweep may remove; beyond it, it stops after the first thing
    (``refuse`` False) or removes nothing and raises TooMuchAtOnce."""

    part: float
    refuse: bool = False


A_QUARTER: Final = Share(0.25)  # of the sweeper, in each round
A_HALF: Final = Share(0.5, refuse=True)  # of somebody who did not say that it may be more


def sweep(
    engine: Engine,
    host: DockerHost,
    *,
    remove: bool,
    at_once: bool = False,
    share: Share | None = None,
    keep: Collection[str] = (),
    disk_bytes: int | None = None,
) -> SweepReport:
    """What is unused past its age is listed, and what is to go to keep the budget; with
    ``remove`` it is gone. The least recently used goes first.

    ``keep``: ids of images that stay whatever their age, the newest of each crew. ``disk_bytes``:
    the size of the disk with the engine's images, None where it is not seen. What the engine
    fails to remove is tried again later, with ``at_once`` now. Raises EngineUnreachable when the
    engine is away, TooMuchAtOnce as ``share`` says.
    """
    stock = read_stock(engine, host)
    options = settings.CREWSHIP.gc
    high = options.high_water.of(disk_bytes)
    low = options.low_water.of(disk_bytes)
    if high is not None:
        low = min(low or 0, high)
    report = SweepReport(remove, used_bytes=stock.used_bytes, high_bytes=high, low_bytes=low)
    chosen = _chosen(host, stock, report, set(keep))
    if not remove:
        report.items = [_item(entry, entry.own_bytes) for entry in chosen]
        return report
    most = stock.used_bytes if share is None else int(stock.used_bytes * share.part)
    if share is not None and share.refuse:
        _refuse_more_than(most, chosen, stock)
    with (
        Upkeep(Kind.IMAGE, host, engine, at_once=at_once) as images,
        Upkeep(Kind.LAYER, host, engine, at_once=at_once) as layers,
    ):
        _remove(engine, stock.children(), chosen, most, report, images, layers)
    return report


def _remove(
    engine: Engine,
    children: Counter[str],
    chosen: list[Entry],
    most: int,
    report: SweepReport,
    images: Upkeep,
    layers: Upkeep,
) -> None:
    for entry in chosen:
        if report.items and report.freed_bytes + entry.own_bytes > most:
            break
        row, before = entry.row, len(report.items)
        upkeep = images if isinstance(row, CachedImage) else layers
        due = upkeep.is_due(entry.tag)
        if not due or children[entry.image_id]:
            continue  # what stands on it could not be removed: without its name it would stay
        if isinstance(row, CachedImage):
            images.attempt(entry.tag, partial(_sweep_image, engine, entry, row, report))
        else:
            layers.attempt(entry.tag, partial(_sweep_layer, engine, entry, row, report))
        if len(report.items) > before:
            children[row.parent_image_id] -= 1


def _refuse_more_than(most: int, chosen: list[Entry], stock: Stock) -> None:
    freed = sum(entry.own_bytes for entry in chosen)
    if freed > most:
        raise TooMuchAtOnce(
            f"This would remove {freed / 1e6:.0f} MB of {stock.used_bytes / 1e6:.0f} MB of images "
            "and layers, more than half.",
            extra={"freed_bytes": freed, "used_bytes": stock.used_bytes},
        )


def _chosen(host: DockerHost, stock: Stock, report: SweepReport, keep: set[str]) -> list[Entry]:
    """What is to go, in the order in which it is to go."""
    images = set(image_candidates(host).values_list("image_id", flat=True)) - keep
    now = timezone.now()
    unused = _removable(host, stock, images, now, settings.CREWSHIP.gc.layer_keep_s)
    chosen = stock.leaves_first(unused)
    if report.over_budget and report.low_bytes is not None:
        removable = _removable(host, stock, images, now, settings.CREWSHIP.gc.floor_s)
        left = report.used_bytes - sum(entry.own_bytes for entry in chosen)
        for entry in stock.leaves_first(removable - unused):
            if left <= report.low_bytes:
                break
            chosen.append(entry)
            left -= entry.own_bytes
    return chosen


def _removable(
    host: DockerHost, stock: Stock, images: set[str], now: datetime, layer_keep_s: float
) -> set[str]:
    """Ids of the images among ``images``, and of layers unused for so long, on which nothing
    stands that stays."""
    leased = set(LayerLease.objects.filter(host=host).values_list("key", flat=True))
    live = set(Agent.objects.exclude(live_image_id="").values_list("live_image_id", flat=True))
    old = now - timedelta(seconds=layer_keep_s)
    # Nobody can hit the image of an earlier build any more: it only waits for its last agent.
    floor = now - timedelta(seconds=settings.CREWSHIP.gc.floor_s)
    free = {
        entry.image_id
        for entry in stock.entries.values()
        if (
            entry.image_id in images
            if isinstance(entry.row, CachedImage)
            else entry.row.last_used_at < (floor if entry.row.kind == RETIRED else old)
            and entry.row.key not in leased
            and entry.image_id not in live
        )
    }
    return free - stock.below(set(stock.entries) - free)


def _item(entry: Entry, freed_bytes: int) -> SweepItem:
    return SweepItem(entry.tag, entry.size_bytes, entry.kind, freed_bytes)


def image_candidates(host: DockerHost) -> QuerySet[CachedImage]:
    """No crew of any workspace references it, no live agent runs it, and neither its making nor
    its last use is younger than the floor."""
    floor = timezone.now() - timedelta(seconds=settings.CREWSHIP.gc.floor_s)
    return CachedImage.objects.filter(
        ~Exists(Crew.objects.filter(cached_image=OuterRef("tag"))),
        ~Exists(Agent.objects.filter(live_image_id=OuterRef("image_id"))),
        host=host,
        deleting_at=None,
        created_at__lt=floor,
        last_used_at__lt=floor,
    ).order_by("last_used_at")


def layer_candidates(host: DockerHost, now: datetime | None = None) -> list[Layer]:
    """Layers that no image and no kept layer stands on, unused for long enough, leaves first.

    From our records alone; an image that a sweep would remove still counts as there.
    """
    stock = stock_of_records(host)
    keep_s = settings.CREWSHIP.gc.layer_keep_s
    unused = _removable(host, stock, set(), now or timezone.now(), keep_s)
    rows = [entry.row for entry in stock.leaves_first(unused)]
    return [row for row in rows if isinstance(row, Layer)]


def _sweep_image(engine: Engine, entry: Entry, record: CachedImage, report: SweepReport) -> None:
    # Marked in a transaction that looks again: a provision that hits the image in this moment
    # either linked it before (not a candidate any more) or does not see it after.
    with transaction.atomic():
        still = image_candidates(record.host).filter(pk=record.pk)
        if not still.update(deleting_at=timezone.now()):
            return
    try:
        removed = remove_marked(engine, record)
    except EngineError:
        CachedImage.objects.filter(pk=record.pk).update(deleting_at=None)
        raise
    if removed:
        report.items.append(_item(entry, _freed(engine, entry)))
    else:
        report.kept_in_use.append(record.tag)


def remove_marked(engine: Engine, record: CachedImage) -> bool:
    """The marked image and its record are gone; False (and unmarked) when a container uses it.

    Raises EngineError, and leaves it marked, when the engine failed.
    """
    try:
        seen = engine.image(record.tag)
        if seen is not None and seen.image_id == record.image_id:
            engine.remove_image(record.tag, force=False)
    except ImageInUse:
        CachedImage.objects.filter(pk=record.pk).update(deleting_at=None)
        return False
    with transaction.atomic():
        # Only what says that very image: a build may have put a new one under the tag meanwhile.
        of_it = {"host": record.host, "tag": record.tag, "image_id": record.image_id}
        # In the order in which a build's end writes them.
        CachedImage.objects.filter(**of_it, deleting_at__isnull=False).delete()
        HostImage.objects.filter(**of_it).delete()
    return True


def _sweep_layer(engine: Engine, entry: Entry, layer: Layer, report: SweepReport) -> None:
    ours = Layer.objects.filter(pk=layer.pk)
    # Without its key no build takes it up, and whatever happens now, its name is in our records.
    with transaction.atomic():
        unused = ours.filter(
            ~Q(key__in=LayerLease.objects.filter(host=layer.host).values("key")),
            last_used_at=layer.last_used_at,
        )
        if not unused.update(key=""):
            return  # a build took it up in this moment
    try:
        seen = engine.image(layer.tag)
        if seen is not None and seen.image_id == layer.image_id:
            engine.remove_image(layer.tag, force=False)
    except ImageInUse:
        ours.update(key=layer.key)
        report.kept_in_use.append(layer.tag)
        return
    except EngineError:
        ours.update(key=layer.key)
        raise
    ours.delete()
    report.items.append(_item(entry, _freed(engine, entry)))


def _freed(engine: Engine, entry: Entry) -> int:
    """What went with the entry's name: nothing while another name or image holds its image."""
    return entry.own_bytes if engine.image(entry.image_id) is None else 0
