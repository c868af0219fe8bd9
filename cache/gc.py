"""The sweeper: what nobody uses any more is reported, and removed when the operator allows it.

Candidates come from our own tables, never from labels or a listing of the engine: another
installation's images, and everything that merely looks like ours, is not in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from cache.models import CachedImage, DockerHost, HostImage, Layer, LayerLease
from cache.upkeep import Kind, Upkeep
from crewship.crews.models import Agent, Crew
from crewship.domain.errors import EngineError, ImageInUse
from crewship.engine.base import Engine


@dataclass(frozen=True, slots=True)
class SweepItem:
    tag: str
    size_bytes: int
    kind: str  # "image" | "layer"


@dataclass(slots=True)
class SweepReport:
    """What a sweep found and did. ``size_bytes`` of an item counts layers it shares with others."""

    removed: bool
    items: list[SweepItem] = field(default_factory=list)
    kept_in_use: list[str] = field(default_factory=list)


def sweep(engine: Engine, host: DockerHost, *, remove: bool, at_once: bool = False) -> SweepReport:
    """Unreferenced images and layers past their age are listed; with ``remove`` they are gone.

    What the engine fails to remove is tried again later, with ``at_once`` now. Raises
    EngineUnreachable when the engine is away.
    """
    report = SweepReport(removed=remove)
    with Upkeep(Kind.IMAGE, host, engine, at_once=at_once) as upkeep:
        for record in image_candidates(host):
            upkeep.attempt(record.tag, partial(_sweep_image, engine, record, report))
    with Upkeep(Kind.LAYER, host, engine, at_once=at_once) as upkeep:
        for layer in layer_candidates(host):
            upkeep.attempt(layer.tag, partial(_sweep_layer, engine, layer, report))
    return report


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
    """Layers that no image and no kept layer stands on, unused for long enough, leaves first."""
    limit = (now or timezone.now()) - timedelta(seconds=settings.CREWSHIP.gc.layer_keep_s)
    every = list(Layer.objects.filter(host=host))
    rows = [row for row in every if row.image_id]  # one without is being built
    old = {row.image_id: row for row in rows if row.last_used_at < limit}
    leased = set(LayerLease.objects.filter(host=host).values_list("key", flat=True))
    kept = set(CachedImage.objects.filter(host=host).values_list("parent_image_id", flat=True))
    kept |= {row.parent_image_id for row in every if row.image_id not in old}
    # An image of an earlier build that an agent still runs: see provisioning.retire.
    kept |= set(Agent.objects.exclude(live_image_id="").values_list("live_image_id", flat=True))
    kept |= {row.image_id for row in rows if row.key in leased}
    parents = {row.image_id: row.parent_image_id for row in rows}
    for image_id in list(kept):  # whatever something kept stands on is kept, down to the base
        while (image_id := parents.get(image_id, "")) and image_id not in kept:
            kept.add(image_id)
    return _leaves_first([row for image_id, row in old.items() if image_id not in kept])


def _leaves_first(layers: list[Layer]) -> list[Layer]:
    parents = {layer.image_id: layer.parent_image_id for layer in layers}

    def depth(image_id: str) -> int:
        steps = 0
        while (image_id := parents.get(image_id, "")) in parents:
            steps += 1
        return steps

    return sorted(layers, key=lambda layer: -depth(layer.image_id))


def _sweep_image(engine: Engine, record: CachedImage, report: SweepReport) -> None:
    item = SweepItem(record.tag, record.size_bytes, "image")
    if not report.removed:
        report.items.append(item)
        return
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
        report.items.append(item)
    else:
        report.kept_in_use.append(record.tag)


def remove_marked(engine: Engine, record: CachedImage) -> bool:
    """The marked image and its record are gone; False (and unmarked) when a container uses it.

    Raises EngineError, and leaves it marked, when the engine failed.
    """
    try:
        seen = engine.image(record.tag)
        if seen is not None and seen.image_id == record.image_id:
            engine.remove_image(record.tag)
    except ImageInUse:
        CachedImage.objects.filter(pk=record.pk).update(deleting_at=None)
        return False
    with transaction.atomic():
        # Only what says that very image: a build may have put a new one under the tag meanwhile.
        of_it = {"host": record.host, "tag": record.tag, "image_id": record.image_id}
        HostImage.objects.filter(**of_it).delete()
        CachedImage.objects.filter(**of_it, deleting_at__isnull=False).delete()
    return True


def _sweep_layer(engine: Engine, layer: Layer, report: SweepReport) -> None:
    item = SweepItem(layer.tag, layer.size_bytes, "layer")
    if report.removed:
        with transaction.atomic():
            unused = Layer.objects.filter(
                ~Q(key__in=LayerLease.objects.filter(host=layer.host).values("key")),
                pk=layer.pk,
                last_used_at=layer.last_used_at,
            )
            if not unused.delete()[0]:
                return  # a build took it up in this moment
        try:
            seen = engine.image(layer.tag)
            if seen is not None and seen.image_id == layer.image_id:
                engine.remove_image(layer.tag)
        except (ImageInUse, EngineError) as err:
            layer.save(force_insert=True)  # else nothing of ours would name the image any more
            if isinstance(err, EngineError):
                raise
            report.kept_in_use.append(layer.tag)
            return
    report.items.append(item)
