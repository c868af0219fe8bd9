"""Images of ours that lost their name: removed, or remembered until they can be."""

from __future__ import annotations

from django.utils import timezone

from cache.models import LAYER_REPOSITORY, RETIRED, CachedImage, DockerHost, Layer
from crewship.domain.errors import EngineError, ImageInUse
from crewship.engine.base import Engine


def retire_image(engine: Engine, host: DockerHost, image_id: str, *, tag: str = "") -> None:
    """An image that nothing of ours names any more is gone from the host.

    ``tag`` is taken off first if it still names that image and no record of ours says so. While
    a container runs it, it stays under a layer name of its own, and the sweeper takes it later.
    """
    if tag and not CachedImage.objects.filter(host=host, tag=tag, image_id=image_id).exists():
        seen = engine.image(tag)
        if seen is not None and seen.image_id == image_id:
            engine.remove_image(tag)
    if CachedImage.objects.filter(host=host, image_id=image_id).exists():
        return
    left = engine.image(image_id)
    if left is None or left.tags:
        return
    try:
        engine.remove_image(image_id)
    except (ImageInUse, EngineError):
        name = f"{LAYER_REPOSITORY}:retired-{image_id.removeprefix('sha256:')[:12]}"
        engine.tag(image_id, name)
        Layer.objects.get_or_create(
            host=host,
            tag=name,
            defaults={
                "key": "",
                "kind": RETIRED,
                "label": "image of an earlier build",
                "image_id": image_id,
                "job_id": "",
                # So that it goes before what it stands on, and that one stays until then.
                "parent_image_id": left.parent_id,
                "size_bytes": left.size_bytes,
                "last_used_at": timezone.now(),
            },
        )
