"""Changing the image cache: recording what was built, and removing images.

Web processes hold no engine socket. A removal is marked by them and carried out by the host's
watcher; the request waits for it, so that a 204 means that the image is gone.
"""

from __future__ import annotations

import re
import time
from functools import partial

from django.db import transaction
from django.utils import timezone

from cache.gc import remove_marked
from cache.hosts import healthy_host
from cache.models import CachedImage, DockerHost, HostImage
from cache.selectors import cache_tag, crews_referencing, live_agents_on, present_images
from cache.upkeep import Kind, Upkeep, forget
from crewship.domain.errors import ConfigError, Conflict, ImageInUse, NotFound, Unavailable
from crewship.engine.base import Engine, ImageInfo
from crewship.workspaces.audit import AuditAction, note
from crewship.workspaces.models import Workspace

_TAG = re.compile(r"crewship-cache:[0-9a-f]{12}")
REMOVAL_WAIT_S = 10.0
_POLL_S = 0.1


class TagInvalid(ConfigError):
    code = "tag_invalid"
    hint = "A cached image's tag is crewship-cache: and 12 lower-case hex digits."


class ImageReferenced(Conflict):
    code = "image_referenced"
    hint = "Change the config of the crews in crew_ids or delete them, and restart agents on it."


@transaction.atomic
def record_image(
    *,
    host: DockerHost,
    config_hash: str,
    image: ImageInfo,
    parent_image_id: str,
    requirements: object,
    provenance: object,
    job_id: str,
) -> CachedImage:
    """Our records say that the tag is this image, made for this hash; a hit finds it from now on
    without waiting for the watcher to see it."""
    now = timezone.now()
    tag = cache_tag(config_hash)
    record, _ = CachedImage.objects.update_or_create(
        host=host,
        tag=tag,
        defaults={
            "config_hash": config_hash,
            "image_id": image.image_id,
            "parent_image_id": parent_image_id,
            "size_bytes": image.size_bytes,
            "requirements": requirements,
            "provenance": provenance,
            "job_id": job_id,
            "created_at": now,
            "last_used_at": now,
            "deleting_at": None,
        },
    )
    HostImage.objects.update_or_create(
        host=host,
        tag=tag,
        defaults={
            "image_id": image.image_id,
            "size_bytes": image.size_bytes,
            "updated_at": now,
        },
    )
    return record


def touch_image(record: CachedImage) -> None:
    """The image was used just now; the sweeper counts from here."""
    CachedImage.objects.filter(pk=record.pk).update(last_used_at=timezone.now())


def delete_image(tag: str, *, workspace: Workspace) -> None:
    """The image is gone from the host and from our records.

    Raises TagInvalid, NotFound, ImageReferenced (with ``crew_ids`` of the caller's workspace
    only), Unavailable when the host does not answer in time (then nothing is left marked).
    """
    _delete(tag, workspace)


def delete_image_as_operator(tag: str) -> None:
    """As ``delete_image``, for whoever may see all tenants: ``crew_ids`` names everybody's."""
    _delete(tag, None)


def _delete(tag: str, workspace: Workspace | None) -> None:
    if not _TAG.fullmatch(tag):
        raise TagInvalid(f"{tag[:100]!r} is not the tag of a cached image.")
    host = healthy_host()
    record = _mark(host, tag, workspace)
    deadline = time.monotonic() + REMOVAL_WAIT_S
    while time.monotonic() < deadline:
        now = CachedImage.objects.filter(pk=record.pk).values_list("deleting_at", flat=True)
        if not now:
            note(AuditAction.IMAGE_DELETED, record, workspace=workspace)
            return
        if now[0] is None:
            raise ImageInUse(f"A container on the host uses {tag}.")
        time.sleep(_POLL_S)
    if CachedImage.objects.filter(pk=record.pk, deleting_at__isnull=False).update(deleting_at=None):
        forget(Kind.REMOVAL, tag, host)
        raise Unavailable(f"The host did not remove {tag} in time.", hint="Try again.")


@transaction.atomic
def _mark(host: DockerHost, tag: str, workspace: Workspace | None) -> CachedImage:
    record = present_images().select_for_update().filter(host=host, tag=tag).first()
    if record is None:
        raise NotFound(
            f"There is no cached image {tag}.",
            code="image_not_cached",
            hint="List the cached images: it may have been removed already.",
        )
    refuse_if_referenced(record, workspace)
    record.deleting_at = timezone.now()
    record.save(update_fields=["deleting_at"])
    return record


def refuse_if_referenced(record: CachedImage, workspace: Workspace | None) -> None:
    """Raises ImageReferenced while a crew or live agent of any workspace uses the image; its
    ``crew_ids`` are the caller's workspace's only, an empty list for somebody else's. None: an
    operator, who sees all."""
    agents = live_agents_on(record.image_id)
    if not crews_referencing([record.tag]) and not agents.exists():
        return
    own = crews_referencing([record.tag], workspace).get(record.tag, [])
    if workspace is not None:
        agents = agents.filter(crew__workspace=workspace)
    own_agents = agents.values_list("crew_id", flat=True)
    crew_ids = sorted({*own, *own_agents})
    raise ImageReferenced(
        f"{record.tag} is still in use.",
        hint=None if crew_ids else "A crew or agent of another workspace uses it.",
        extra={"crew_ids": crew_ids},
    )


def carry_out_removals(engine: Engine, host: DockerHost) -> int:
    """Every image that is marked is removed, or unmarked when a container uses it.

    For the host's watcher. Returns how many were removed. What the engine fails to remove stays
    marked and is tried again later. Raises EngineUnreachable when the engine is away.
    """
    marked = CachedImage.objects.filter(host=host, deleting_at__isnull=False)
    if not marked:
        return 0
    removed: list[str] = []
    with Upkeep(Kind.REMOVAL, host, engine) as upkeep:
        for record in marked:
            upkeep.attempt(record.tag, partial(_remove, engine, record, removed))
    return len(removed)


def _remove(engine: Engine, record: CachedImage, removed: list[str]) -> None:
    if remove_marked(engine, record):
        removed.append(record.tag)
