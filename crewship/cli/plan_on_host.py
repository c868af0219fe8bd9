"""A plan by what there is: features from their registries, base and layers on this host.

Nothing is pulled or built. Features that must be looked into are downloaded, to the data
directory's store where there is one, as a build would.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.db import Error as DatabaseError

from cache.models import CachedImage, Layer
from catalogs.entries import bundled_runtimes
from crewship.cli.plan import Planned
from crewship.devcontainer.label import LABEL, read_label
from crewship.devcontainer.plan import make_plan
from crewship.devcontainer.types import BaseFacts, BuildPlan, CrewSpec, LayerKind, MiseSpec
from crewship.domain.errors import EngineUnreachable, MiseUnavailable
from crewship.engine.base import Engine
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.features import FeatureFetcher
from crewship.registry.mise import NPM_PINS, MiseSource, ensure_mise
from crewship.settings.options import Options
from provisioning.pipeline.pull_base import ordered_features, with_default_versions
from provisioning.toolbox import build_options, host_engine, registry_options


def plan_on_host(spec: CrewSpec) -> Planned:
    """The plan that a provision would make now, as far as this host can tell.

    Raises what reading and ordering features raises, and the registries' errors.
    """
    options: Options = settings.CREWSHIP
    with _store(options.data_dir) as blobs, OciClient(registry_options(options)) as client:
        ordered = ordered_features(spec, FeatureFetcher(client, blobs), options.policy)
        engine = _answering_engine()
        base, note = _base(spec, engine)
        mise, mise_note = _mise(spec, options)
        made = make_plan(
            spec,
            ordered,
            base=base,
            mise_digest=None if mise_note else _mise_digest(spec, base, options, blobs),
            resolved_mise=mise,
            policy=options.policy,
        )
    notes = [text for text in (note, mise_note) if text]
    present: Mapping[str, bool] = {}
    if options.cache_scope == "workspace":
        notes.append("Hash and keys are each workspace's own here; these are nobody's.")
    elif engine is not None and base is not None:
        present = _present(made, engine, options)
    return Planned(made, present, tuple(notes))


@contextmanager
def _store(data_dir: Path) -> Iterator[BlobStore]:
    """The installation's store, or one that goes away where there is none to write to."""
    if os.access(data_dir, os.W_OK):
        yield BlobStore(data_dir / "store")
        return
    with TemporaryDirectory(prefix="crewship-plan-") as scratch:
        yield BlobStore(Path(scratch))


def _answering_engine() -> Engine | None:
    try:
        engine = host_engine()
        engine.info()
    except EngineUnreachable:
        return None
    return engine


def _base(spec: CrewSpec, engine: Engine | None) -> tuple[BaseFacts | None, str]:
    """What the engine knows of the base, or why it knows nothing."""
    if engine is None:
        return None, "Keys are unknown: no Docker engine answers."
    image = engine.image(str(spec.base))
    if image is None:
        return None, f"Keys are unknown: {spec.base} is not on this host yet."
    entries, _ = read_label(image.config.labels.get(LABEL, ""))
    return BaseFacts(image.image_id, image.platform, image.layer_count, entries), ""


def _mise(spec: CrewSpec, options: Options) -> tuple[MiseSpec, str]:
    """The tools with the default versions that stand for empty ones, or why those are unknown:
    operators can change them."""
    if not any("" in tool.versions for tool in spec.mise.tools):
        return spec.mise, ""
    if not _has_database():  # so nobody has changed one
        bundled = {x.key: x.default_version for x in bundled_runtimes() if x.default_version}
        return with_default_versions(spec.mise, bundled), ""
    try:
        return with_default_versions(spec.mise, build_options(options).default_versions), ""
    except DatabaseError:
        return spec.mise, "Default versions of mise tools are unknown: the database can't be read."


def _mise_digest(
    spec: CrewSpec, base: BaseFacts | None, options: Options, blobs: BlobStore
) -> str | None:
    """64 hex digits of the binary that a build would use, without downloading it; None where
    they are unknown or nobody needs them."""
    if base is None or not spec.mise.tools:
        return None
    try:
        source = MiseSource.parse(options.mise_source)
        if source.kind == "path":
            return ensure_mise(source, base.platform, blobs).sha256
    except MiseUnavailable:
        return None
    pin = NPM_PINS.get(base.platform)
    digest = source.digest if source.kind == "url" else pin.binary_digest if pin else ""
    return digest.removeprefix("sha256:") or None


def _present(made: BuildPlan, engine: Engine, options: Options) -> Mapping[str, bool]:
    """By key, whether our records name an image for it that the engine has under that name.

    The final layer is looked for by the config hash: it is made anew unless the image is a hit.
    Empty where this installation has no database.
    """
    if not _has_database():
        return {}
    keys = {layer.key: layer.kind for layer in made.layers if layer.key}
    try:
        layers = Layer.objects.filter(host__name=options.host_name, key__in=keys)
        images = CachedImage.objects.filter(
            host__name=options.host_name, config_hash=made.config_hash, deleting_at=None
        )
        rows = list(layers.exclude(image_id="").values_list("key", "tag", "image_id"))
        finals = list(images.values_list("tag", "image_id"))
    except DatabaseError:  # made by another version, or out of reach
        return {}
    there = {key for key, tag, image_id in rows if _is(engine, tag, image_id)}
    hit = any(_is(engine, tag, image_id) for tag, image_id in finals)
    return {key: hit if kind is LayerKind.FINAL else key in there for key, kind in keys.items()}


def _has_database() -> bool:
    """Looked at first, because connecting to SQLite makes the file."""
    database = settings.DATABASES["default"]
    return not database["ENGINE"].endswith("sqlite3") or Path(database["NAME"]).exists()


def _is(engine: Engine, tag: str, image_id: str) -> bool:
    image = engine.image(tag)
    return image is not None and image.image_id == image_id
