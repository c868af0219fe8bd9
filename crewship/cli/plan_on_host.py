"""A plan by what there is: features from their registries, base and layers on this host.

Nothing is pulled or built. Features that must be looked into are downloaded, to the data
directory's store where there is one, as a build would.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.db import Error as DatabaseError

from cache.models import CachedImage, Layer
from crewship.devcontainer.label import LABEL, read_label
from crewship.devcontainer.planned import Planned
from crewship.devcontainer.types import BaseFacts, CrewSpec
from crewship.domain.errors import EngineUnreachable
from crewship.engine.base import Engine
from crewship.engine.names import image_named
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.features import FeatureFetcher
from crewship.settings.options import Options
from provisioning.pipeline.pull_base import ordered_features
from provisioning.planning import has_database, plan_now
from provisioning.toolbox import host_engine, registry_options


def plan_on_host(spec: CrewSpec) -> Planned:
    """The plan that a provision would make now, as far as this host can tell.

    Raises what reading and ordering features raises, and the registries' errors.
    """
    options: Options = settings.CREWSHIP
    with (
        _store(options.data_dir) as blobs,
        OciClient(registry_options(options, blobs.root)) as client,
    ):
        ordered = ordered_features(spec, FeatureFetcher(client, blobs), options.policy)
        return plan_now(spec, ordered, EngineSight(options.host_name), blobs)


@contextmanager
def _store(data_dir: Path) -> Iterator[BlobStore]:
    """The installation's store, or one that goes away where there is none to write to."""
    if os.access(data_dir, os.W_OK):
        yield BlobStore(data_dir / "store")
        return
    with TemporaryDirectory(prefix="crewship-plan-") as scratch:
        yield BlobStore(Path(scratch))


class EngineSight:
    """What the engine of this machine has, beside our records of what it should be."""

    def __init__(self, host_name: str) -> None:
        self._host_name = host_name
        self._engine = _answering_engine()

    def base(self, spec: CrewSpec) -> tuple[BaseFacts | None, str]:
        if self._engine is None:
            return None, "Keys are unknown: no Docker engine answers."
        image = image_named(self._engine, spec.base)
        if image is None:
            return None, f"Keys are unknown: {spec.base} is not on this host yet."
        entries, _ = read_label(image.config.labels.get(LABEL, ""))
        return BaseFacts(image.image_id, image.platform, image.layer_count, entries), ""

    def layers(self, keys: Collection[str]) -> Collection[str] | None:
        if not has_database():
            return None
        layers = Layer.objects.filter(host__name=self._host_name, key__in=keys)
        try:
            rows = list(layers.exclude(image_id="").values_list("key", "tag", "image_id"))
        except DatabaseError:  # made by another version, or out of reach
            return None
        return {key for key, tag, image_id in rows if self._is(tag, image_id)}

    def has_image(self, config_hash: str) -> bool:
        images = CachedImage.objects.filter(
            host__name=self._host_name, config_hash=config_hash, deleting_at=None
        )
        return any(self._is(tag, image) for tag, image in images.values_list("tag", "image_id"))

    def _is(self, tag: str, image_id: str) -> bool:
        image = self._engine.image(tag) if self._engine else None
        return image is not None and image.image_id == image_id


def _answering_engine() -> Engine | None:
    try:
        engine = host_engine()
        engine.info()
    except EngineUnreachable:
        return None
    return engine
