"""Reading the image cache: which images are there, which one is a hit, who uses what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from django.db.models import Exists, OuterRef, QuerySet

from cache.models import CACHE_REPOSITORY, CachedImage, HostImage
from crewship.crews.models import Agent, Crew
from crewship.domain.errors import Conflict
from crewship.workspaces.models import Workspace


class TagCollision(Conflict):
    """Two full hashes with the same first 12 digits; practically somebody's doing."""

    code = "tag_collision"
    hint = "Change the config in a way that matters (an extra containerEnv entry will do)."


def cache_tag(config_hash: str) -> str:
    return f"{CACHE_REPOSITORY}:{config_hash[:12]}"


def present_images() -> QuerySet[CachedImage]:
    """Our images that are really there: the host's watcher saw the recorded id under the tag."""
    seen = HostImage.objects.filter(
        host=OuterRef("host"), tag=OuterRef("tag"), image_id=OuterRef("image_id")
    )
    return CachedImage.objects.filter(Exists(seen), deleting_at=None)


def find_hit(host_id: str, config_hash: str) -> CachedImage | None:
    """The image for the full hash on the host, or None; within the caller's transaction.

    Raises TagCollision when the tag is another hash's by our records.
    """
    tag = cache_tag(config_hash)
    record = CachedImage.objects.filter(host_id=host_id, tag=tag).first()
    if record is not None and record.config_hash != config_hash:
        raise TagCollision(f"The tag {tag} belongs to another config.")
    # The row is locked: whoever marks the image for removal looks at the references after us.
    hits = present_images().select_for_update()
    return hits.filter(host_id=host_id, tag=tag, config_hash=config_hash).first()


def crews_referencing(
    tags: Collection[str], workspace: Workspace | None = None
) -> Mapping[str, list[str]]:
    """Ids of the crews whose marker is one of the tags, oldest first; of all workspaces, or one."""
    crews = Crew.objects.filter(cached_image__in=tags)
    if workspace is not None:
        crews = crews.filter(workspace=workspace)
    found: dict[str, list[str]] = defaultdict(list)
    for tag, crew_id in crews.order_by("id").values_list("cached_image", "id"):
        if tag is not None:
            found[tag].append(crew_id)
    return found


def live_agents_on(image_id: str) -> QuerySet[Agent]:
    return Agent.objects.filter(live_image_id=image_id)
