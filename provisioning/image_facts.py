"""What a cached image consists of, for showing: its layers with the size that each adds."""

from __future__ import annotations

from dataclasses import dataclass

from cache.models import CachedImage, Layer


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """``added_bytes`` is None where the layer below is not recorded; then it is not known."""

    kind: str
    label: str
    key: str
    added_bytes: int | None


def image_layers(image: CachedImage) -> list[ImageLayer]:
    """The layers that were added to the base image, lowest first."""
    noted = image.provenance.get("layers", [])
    keys = [entry["key"] for entry in noted if entry.get("key")]
    rows = Layer.objects.filter(host_id=image.host_id, key__in=keys).exclude(image_id="")
    sizes = {row.key: row.size_bytes for row in rows.order_by("id")}
    if noted and noted[-1].get("key"):
        sizes.setdefault(noted[-1]["key"], image.size_bytes)  # the last layer is the image itself
    out: list[ImageLayer] = []
    below: int | None = None
    for entry in noted:
        total = sizes.get(entry.get("key") or "")
        added = max(0, total - below) if total is not None and below is not None else None
        out.append(ImageLayer(entry["kind"], entry["label"], entry.get("key") or "", added))
        below = total
    return out
