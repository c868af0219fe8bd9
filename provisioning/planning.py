"""The plan that a provision would make now, without pulling or building anything.

What is on the Docker host is told by a ``Sight``: the command line's asks the engine, the web
process's our records.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models import Exists, OuterRef

from cache.models import DockerHost, HostImage, KnownBase, Layer
from cache.selectors import present_images
from catalogs.entries import bundled_runtimes
from crewship.devcontainer.label import read_label
from crewship.devcontainer.plan import make_plan
from crewship.devcontainer.planned import Planned
from crewship.devcontainer.types import (
    BaseFacts,
    BuildPlan,
    CrewSpec,
    FeatureRequest,
    LayerKind,
    MiseSpec,
    ResolvedFeature,
)
from crewship.domain.errors import MiseUnavailable
from crewship.registry.blobs import BlobStore
from crewship.registry.mise import NPM_PINS, MiseSource, ensure_mise
from crewship.settings.options import Options
from provisioning.pipeline.pull_base import with_default_versions
from provisioning.toolbox import build_options

Ordered = Sequence[tuple[FeatureRequest, ResolvedFeature]]  # in install order


class Sight(Protocol):
    """What can be seen of the Docker host from where the plan is made."""

    def base(self, spec: CrewSpec) -> tuple[BaseFacts | None, str]:
        """The base image as the host has it, or None and why nothing is known of it."""

    def layers(self, keys: Collection[str]) -> Collection[str] | None:
        """Those of the keys whose layers are there; None where nobody can say."""

    def has_image(self, config_hash: str) -> bool:
        """Whether a finished image for the hash is there. Asked after ``layers`` only."""


def plan_now(
    spec: CrewSpec, ordered: Ordered, sight: Sight, blobs: BlobStore, *, scope_key: str = ""
) -> Planned:
    """The plan for what ``ordered_features`` gave. Raises ConfigInvalid, TooManyLayers."""
    options: Options = settings.CREWSHIP
    base, note = sight.base(spec)
    mise, mise_note = _mise(spec, options)
    made = make_plan(
        spec,
        ordered,
        base=base,
        mise_digest=None if mise_note else _mise_digest(spec, base, options, blobs),
        scope_key=scope_key,
        resolved_mise=mise,
        policy=options.policy,
    )
    notes = [text for text in (note, mise_note) if text]
    present: Mapping[str, bool] = {}
    if options.cache_scope == "workspace" and not scope_key:
        notes.append("Hash and keys are each workspace's own here; these are nobody's.")
    elif base is not None:
        present = _present(made, sight)
    return Planned(made, present, tuple(notes))


def _present(made: BuildPlan, sight: Sight) -> Mapping[str, bool]:
    """By key. The final layer is looked for by the config hash: it is made anew unless the whole
    image is a hit."""
    keys = {layer.key: layer.kind for layer in made.layers if layer.key}
    there = sight.layers(keys)
    if there is None:
        return {}
    hit = sight.has_image(made.config_hash)
    return {key: hit if kind is LayerKind.FINAL else key in there for key, kind in keys.items()}


class RecordsSight:
    """What our records say of a host, at most some seconds behind its engine."""

    def __init__(self, host: DockerHost | None) -> None:
        self._host = host

    def base(self, spec: CrewSpec) -> tuple[BaseFacts | None, str]:
        known = KnownBase.objects.filter(host=self._host, ref=str(spec.base)).first()
        if self._host is None:
            return None, "Keys are unknown: no Docker host has been heard of."
        if known is None:
            return None, f"Keys are unknown: nothing was built from {spec.base} on the host yet."
        entries, _ = read_label(known.label)
        return BaseFacts(known.image_id, known.platform, known.layer_count, entries), ""

    def layers(self, keys: Collection[str]) -> Collection[str] | None:
        seen = HostImage.objects.filter(
            host=OuterRef("host"), tag=OuterRef("tag"), image_id=OuterRef("image_id")
        )
        rows = Layer.objects.filter(Exists(seen), host=self._host, key__in=keys)
        return set(rows.values_list("key", flat=True))

    def has_image(self, config_hash: str) -> bool:
        return present_images().filter(host=self._host, config_hash=config_hash).exists()


def _mise(spec: CrewSpec, options: Options) -> tuple[MiseSpec, str]:
    """The tools with the default versions that stand for empty ones, or why those are unknown:
    operators can change them."""
    if not any("" in tool.versions for tool in spec.mise.tools):
        return spec.mise, ""
    if not has_database():  # so nobody has changed one
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


def has_database() -> bool:
    """Looked at first, because connecting to SQLite makes the file."""
    database = settings.DATABASES["default"]
    return not database["ENGINE"].endswith("sqlite3") or Path(database["NAME"]).exists()
