"""What is on the host right now, written down by its watcher."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from cache.models import CACHE_REPOSITORY, LAYER_REPOSITORY, DockerHost, HostImage
from crewship.engine.base import Engine


def reconcile(engine: Engine, host: DockerHost) -> int:
    """HostImage rows are what the engine lists below our two names; returns how many changed.

    The engine is asked before the transaction (no writer may wait for an engine), so a row that
    was written after the asking began is newer than the answer and is left alone.
    """
    asked_at = timezone.now()
    seen = {
        image.tag: image
        for repository in (CACHE_REPOSITORY, LAYER_REPOSITORY)
        for image in engine.image_tags(repository)
    }
    known = {row.tag: row for row in HostImage.objects.filter(host=host)}
    gone = [row.pk for tag, row in known.items() if tag not in seen]
    changed = [
        image
        for tag, image in seen.items()
        if tag not in known or known[tag].image_id != image.image_id
    ]
    if not gone and not changed:
        return 0
    with transaction.atomic():
        HostImage.objects.filter(pk__in=gone, updated_at__lt=asked_at).delete()
        for image in changed:
            values = {
                "image_id": image.image_id,
                "size_bytes": image.size_bytes,
                "updated_at": asked_at,
            }
            row, made = HostImage.objects.get_or_create(host=host, tag=image.tag, defaults=values)
            if not made:
                HostImage.objects.filter(pk=row.pk, updated_at__lt=asked_at).update(**values)
    return len(gone) + len(changed)
