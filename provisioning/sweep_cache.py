"""One sweep of the image cache, with what only this app knows: the newest image of each crew."""

from __future__ import annotations

from django.conf import settings
from django.db.models import OuterRef, Subquery

from cache.gc import Share, SweepReport, sweep
from cache.models import DockerHost
from crewship.crews.models import Crew
from crewship.engine.base import Engine
from crewship.engine.disk import engine_disk
from provisioning.models import ProvisionJob
from provisioning.states import JobState


def sweep_cache(
    engine: Engine,
    host: DockerHost,
    *,
    remove: bool,
    at_once: bool = False,
    share: Share | None = None,
) -> SweepReport:
    """As ``cache.gc.sweep``, on the host's engine and its disk."""
    disk = engine_disk(engine.info(), settings.CREWSHIP.engine_disk)
    return sweep(
        engine,
        host,
        remove=remove,
        at_once=at_once,
        share=share,
        keep=newest_images(host),
        disk_bytes=disk.total_bytes if disk else None,
    )


def newest_images(host: DockerHost) -> set[str]:
    """Ids of the images that crews got last on the host, whatever their configs say by now: one
    that is being rebuilt, or whose config was edited, has no other."""
    done = ProvisionJob.objects.filter(
        host=host, state=JobState.COMPLETED, crew_id=OuterRef("pk")
    ).exclude(image_id="")
    newest = Subquery(done.order_by("-finished_at", "-pk").values("image_id")[:1])
    crews = Crew.objects.annotate(newest_image=newest).exclude(newest_image=None)
    return set(crews.values_list("newest_image", flat=True))
