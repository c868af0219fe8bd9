"""How much of the host's disk the cache holds, what is shared, and what a sweep would free.

Sizes are the engine's sums over all layers of an image; what one layer adds is the difference to
the one below it. Only rows of ours are looked at, no engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from cache.gc import image_candidates, layer_candidates
from cache.models import CachedImage, DockerHost, Layer
from cache.selectors import present_images


@dataclass(frozen=True, slots=True)
class ImageUse:
    """One image: ``own_bytes`` go when it alone is removed, ``shared`` of its ``layers`` are
    other images' too."""

    image: CachedImage
    own_bytes: int
    layers: int
    shared: int


@dataclass(frozen=True, slots=True)
class CacheUse:
    images: tuple[ImageUse, ...]
    used_bytes: int
    layer_count: int
    sweep_images: int
    sweep_layers: int
    sweep_bytes: int


def cache_use(host: DockerHost) -> CacheUse:
    """The host's images, newest first, and the sums over them and the layers of builds."""
    images = list(present_images().filter(host=host).order_by("-created_at", "tag"))
    layers = list(Layer.objects.filter(host=host).exclude(image_id=""))
    size_of = {layer.image_id: layer.size_bytes for layer in layers}
    own = {
        image.pk: _above(image.size_bytes, size_of.get(image.parent_image_id)) for image in images
    }
    added = {layer.image_id: _added(layer, size_of) for layer in layers}
    users = Counter(key for image in images for key in _keys(image))
    swept_images = set(image_candidates(host).values_list("pk", flat=True))
    swept_layers = layer_candidates(host)
    return CacheUse(
        images=tuple(
            ImageUse(
                image=image,
                own_bytes=own[image.pk],
                layers=len(_keys(image)),
                shared=sum(users[key] > 1 for key in _keys(image)),
            )
            for image in images
        ),
        used_bytes=sum(own.values()) + sum(added.values()) + _bases(layers, size_of),
        layer_count=len(layers),
        sweep_images=sum(image.pk in swept_images for image in images),
        sweep_layers=len(swept_layers),
        sweep_bytes=sum(own[image.pk] for image in images if image.pk in swept_images)
        + sum(added[layer.image_id] for layer in swept_layers),
    )


def _above(size: int, below: int | None) -> int:
    return max(0, size - below) if below is not None else size


def _added(layer: Layer, size_of: Mapping[str, int]) -> int:
    """What the layer adds; 0 for one on a base image, which is counted with its base."""
    below = size_of.get(layer.parent_image_id)
    return max(0, layer.size_bytes - below) if below is not None else 0


def _bases(layers: list[Layer], size_of: Mapping[str, int]) -> int:
    """Each base image once, with the small layer of the agent user on it."""
    bases: dict[str, int] = {}
    for layer in layers:
        if layer.parent_image_id not in size_of:
            known = bases.get(layer.parent_image_id, 0)
            bases[layer.parent_image_id] = max(known, layer.size_bytes)
    return sum(bases.values())


def _keys(image: CachedImage) -> list[str]:
    """Of the layers below the image's own, which nobody shares."""
    noted = image.provenance.get("layers", [])
    return [entry["key"] for entry in noted[:-1] if entry.get("key")]
