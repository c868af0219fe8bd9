"""What a provision would do, for the API and the dashboard: within seconds, and changing nothing.

Web processes hold no engine socket: base and layers are what our records say. Registries are
asked, with a limit; what they answered serves for some seconds, so that an editor may ask often.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from threading import BoundedSemaphore, Event
from typing import Any, Final

from django.conf import settings

from cache.hosts import healthy_host
from cache.models import DockerHost
from cache.selectors import present_images
from crewship.crews.models import Crew
from crewship.crews.services import scope_key, spec_with
from crewship.devcontainer.hashing import config_hash
from crewship.devcontainer.planned import Planned, error_document, plan_document
from crewship.devcontainer.types import CrewSpec, FeatureRef, ResolvedFeature
from crewship.domain.errors import CrewshipError, RegistryUnreachable, Unavailable
from crewship.registry.background import start
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.features import FeatureFetcher
from provisioning.pipeline.pull_base import ordered_features
from provisioning.planning import Ordered, RecordsSight, plan_now
from provisioning.services import NothingToProvision
from provisioning.toolbox import registry_options

PATIENCE_S: Final = 10.0  # for all registries together
KEPT_S: Final = 30.0  # how long an answer of a registry serves
KEPT: Final = 500  # references

ASKED_AT_ONCE: Final = 32  # plans that wait for registries, in each process

_askers = BoundedSemaphore(ASKED_AT_ONCE)
_recent: dict[FeatureRef, tuple[float, ResolvedFeature]] = {}


def plan_crew(crew: Crew, values: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    """The document of ``crewship plan --json`` for the crew with ``values`` in place of its own
    texts, and with ``cached_image``, ``would_build`` and ``notes``.

    What only registries can tell is wrong is in its ``error``. Raises ConfigInvalid for what could
    not be saved, NothingToProvision.
    """
    spec = spec_with(crew, values)
    if spec is None:
        raise NothingToProvision("There is no devcontainer_config to plan.")
    key = scope_key(crew.workspace)
    host = _host()
    image = present_images().filter(host=host, config_hash=config_hash(spec, key)).first()
    about_image = {"cached_image": image.tag if image else None}
    blobs = BlobStore(settings.CREWSHIP.data_dir / "store")
    try:
        ordered = _ordered_in_time(spec, blobs)
        planned = plan_now(spec, ordered, RecordsSight(host), blobs, scope_key=key)
    except CrewshipError as error:
        return {**_without_plan(spec, key, error), **about_image, "would_build": None, "notes": []}
    return {
        **plan_document(planned),
        **about_image,
        "would_build": 0 if image else _would_build(planned),
        "notes": list(planned.notes),
    }


def _would_build(planned: Planned) -> int | None:
    """How many layers are missing; None where nobody can say."""
    states = [planned.present.get(layer.key or "") for layer in planned.plan.layers]
    return None if None in states else states.count(False)


def _without_plan(spec: CrewSpec, key: str, error: CrewshipError) -> dict[str, Any]:  # Any: JSON
    return {
        "config_hash": config_hash(spec, key),
        "base": str(spec.base),
        "features": [],
        "layers": [],
        "warnings": [warning.as_dict() for warning in spec.warnings],
        **error_document(error),
    }


def _host() -> DockerHost | None:
    """The host that would build; None: a plan needs none."""
    try:
        return healthy_host()
    except Unavailable:
        return None


def _ordered_in_time(spec: CrewSpec, blobs: BlobStore) -> Ordered:
    """Raises as ``ordered_features`` does, and RegistryUnreachable after PATIENCE_S."""
    if not spec.features:
        return ()
    if not _askers.acquire(blocking=False):
        raise RegistryUnreachable("Too many plans wait for registries now; try again in a moment.")
    cancel = Event()

    def ask() -> Ordered:
        try:
            return _ordered(spec, blobs, cancel)
        finally:
            _askers.release()

    asked = start(ask, "plan")
    try:
        return asked.result(timeout=PATIENCE_S)
    except TimeoutError as err:
        cancel.set()  # nobody wants the answer any more
        raise RegistryUnreachable(
            f"The features' registries did not answer within {PATIENCE_S:g} s."
        ) from err


def _ordered(spec: CrewSpec, blobs: BlobStore, cancel: Event) -> Ordered:
    options = replace(
        registry_options(settings.CREWSHIP),
        connect_timeout_s=3.0,
        read_timeout_s=5.0,
        total_timeout_s=8.0,
        retries=0,
    )
    with OciClient(options, cancel=cancel) as client:
        features = _Remembering(FeatureFetcher(client, blobs))
        return ordered_features(spec, features, settings.CREWSHIP.policy)


class _Remembering:
    """A FeatureFetcher's answers, which serve whoever plans within the next seconds too."""

    def __init__(self, fetcher: FeatureFetcher) -> None:
        self._fetcher = fetcher
        self.installable = fetcher.installable
        self.archive_tar = fetcher.archive_tar

    def resolve(self, ref: FeatureRef) -> ResolvedFeature:
        known = _recall(ref)
        if known is not None:
            return known
        found = self._fetcher.resolve(ref)
        if len(_recent) >= KEPT:
            _recent.clear()
        _recent[ref] = time.monotonic(), found
        return found

    def prefetch(self, refs: Iterable[FeatureRef]) -> Mapping[FeatureRef, ResolvedFeature]:
        return self._fetcher.prefetch([ref for ref in refs if _recall(ref) is None])


def _recall(ref: FeatureRef) -> ResolvedFeature | None:
    at, found = _recent.get(ref, (0.0, None))
    return found if found is not None and time.monotonic() - at < KEPT_S else None
