"""Whether the registries have something newer than what a crew's image was made of.

The hash of a config comes from its texts: a tag that moved makes an image stale, not another. This
looks without changing anything; ``request_provision(refresh=True)`` acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Event
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache

from cache.models import CachedImage
from crewship.crews.models import Crew
from crewship.crews.services import crew_spec
from crewship.devcontainer.refs import parse_feature_ref
from crewship.devcontainer.types import CrewSpec, FeatureRef, ImageRef
from crewship.domain.errors import ConfigError, CrewshipError
from crewship.registry.client import OciClient
from provisioning.selectors import agents_pending_restart, current_image
from provisioning.toolbox import registry_options

PATIENCE_S: Final = 5.0  # in all; what has not answered by then is not known
KEPT_S: Final = 60  # seconds an answer serves, so that watchers of a page are no load
WORKERS: Final = 8

Ref = ImageRef | FeatureRef


@dataclass(frozen=True, slots=True)
class PartStatus:
    """The base or a feature: the digest that the image was made of, and what its name is now.
    ``behind`` is None where either is unknown; then ``reason`` says why."""

    ref: str
    running_digest: str | None
    resolved_digest: str | None
    behind: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """The base's digests, and whether base or features are behind their registries."""

    cached_image: str | None
    running_digest: str | None
    resolved_digest: str | None
    behind: bool | None
    reason: str
    features: tuple[PartStatus, ...]
    agents_pending_restart: int


@dataclass(frozen=True, slots=True)
class _Answer:
    digest: str | None = None
    error: str = ""


def image_status(crew: Crew) -> ImageStatus:
    """What GET /crews/{id}/image-status says; it waits for registries at most PATIENCE_S."""
    image = current_image(crew)
    pending = agents_pending_restart(crew, image)
    if image is None:
        return ImageStatus(None, None, None, None, "The crew has no image.", (), pending)
    try:
        spec = crew_spec(crew)
    except ConfigError as err:  # such as a registry that the operator took off the list
        return ImageStatus(image.tag, None, None, None, err.message, (), pending)
    if spec is None:
        return ImageStatus(image.tag, None, None, None, "The crew has no config.", (), pending)
    base, *features = _parts(image, spec)
    behind, reason = _verdict([base, *features])
    return ImageStatus(
        cached_image=image.tag,
        running_digest=base.running_digest,
        resolved_digest=base.resolved_digest,
        behind=behind,
        reason=reason,
        features=tuple(features),
        agents_pending_restart=pending,
    )


def _parts(image: CachedImage, spec: CrewSpec) -> list[PartStatus]:
    """The base, then the features in the order of their installation."""
    made_of: Mapping[str, Any] = image.provenance
    locked = made_of.get("lock", {})
    running: list[tuple[str, Ref, str | None]] = [
        (str(spec.base), spec.base, _repo_digest(made_of.get("base", {}).get("digests", [])))
    ]
    for feature in made_of.get("features", []):
        ref = parse_feature_ref(feature["ref"])
        if str(ref) in locked:  # the crew insists on what it has
            ref = replace(ref, tag="", digest=locked[str(ref)])
        running.append((feature["ref"], ref, feature["resolved"].rpartition("@")[2]))
    moving = [ref for _, ref, digest in running if digest and not ref.digest]
    now = _ask(moving)
    return [_part(name, ref, digest, now.get(_name(ref))) for name, ref, digest in running]


def _part(name: str, ref: Ref, digest: str | None, answer: _Answer | None) -> PartStatus:
    if ref.digest:
        return PartStatus(name, digest or ref.digest, ref.digest, False)
    if not digest:
        reason = f"{name} is of this host alone: no registry gave it a digest."
        return PartStatus(name, None, None, None, reason)
    if answer is None:
        reason = f"{name}: no answer within {PATIENCE_S:g} s."
        return PartStatus(name, digest, None, None, reason)
    if answer.digest is None:
        return PartStatus(name, digest, None, None, answer.error)
    return PartStatus(name, digest, answer.digest, answer.digest != digest)


def _verdict(parts: list[PartStatus]) -> tuple[bool | None, str]:
    moved = [part.ref for part in parts if part.behind]
    unknown = [part.reason for part in parts if part.behind is None]
    if moved:
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        return True, f"Published anew since: {', '.join(moved[:3])}{more}."
    if unknown:
        return None, unknown[0]
    return False, "Base and features are what their registries have."


def _repo_digest(digests: Iterable[str]) -> str | None:
    """The manifest's digest of ``name@sha256:…``; docker gives several only for one content."""
    return next((text.rpartition("@")[2] for text in digests if "@" in text), None)


def _name(ref: Ref) -> str:
    return f"{ref.registry}/{ref.repository}:{ref.tag}"


def _ask(refs: Iterable[Ref]) -> dict[str, _Answer]:
    """What the names are now; those without an answer in time are absent. Answers, failures too,
    serve everybody for KEPT_S."""
    wanted = {_name(ref): ref for ref in refs}
    keys = {_cache_key(name): name for name in wanted}
    known = {keys[key]: _Answer(*said) for key, said in cache.get_many(list(keys)).items()}
    missing = {name: ref for name, ref in wanted.items() if name not in known}
    if missing:
        found = _ask_registries(missing)
        cache.set_many(
            {_cache_key(name): (said.digest, said.error) for name, said in found.items()}, KEPT_S
        )
        known |= found
    return known


def _ask_registries(refs: Mapping[str, Ref]) -> dict[str, _Answer]:
    options = replace(
        registry_options(settings.CREWSHIP),
        connect_timeout_s=3.0,
        read_timeout_s=4.0,
        total_timeout_s=PATIENCE_S,
        retries=0,
    )
    given_up = Event()
    with OciClient(options, cancel=given_up) as client:
        pool = ThreadPoolExecutor(min(WORKERS, len(refs)), thread_name_prefix="freshness")
        asked = {name: pool.submit(_ask_one, client, ref) for name, ref in refs.items()}
        wait(asked.values(), timeout=PATIENCE_S)
        found = {name: future.result() for name, future in asked.items() if future.done()}
        given_up.set()  # stragglers end within a second
        pool.shutdown(wait=False, cancel_futures=True)
    return found


def _ask_one(client: OciClient, ref: Ref) -> _Answer:
    try:
        return _Answer(client.digest(ref.registry, ref.repository, ref.tag))
    except CrewshipError as err:
        return _Answer(None, err.message)


def _cache_key(name: str) -> str:
    """A name may be longer than a cache's key."""
    return f"freshness:{sha256(name.encode()).hexdigest()}"
