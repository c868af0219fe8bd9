"""Docker hosts, what the watcher last saw on them, and our records of images and layers.

A record of ours (CachedImage, Layer) says what we made; HostImage says what is there now. Only
where the two agree is an image trusted.
"""

from __future__ import annotations

from django.db import models

from crewship.domain.ids import new_host_id

CACHE_REPOSITORY = "crewship-cache"
LAYER_REPOSITORY = "crewship-layer"
RETIRED = "retired"  # kind of the layer that names an image of an earlier build


class DockerHost(models.Model):
    """A machine with an engine; its watcher writes ``heartbeat_at`` every second, by the
    database's clock.

    The disk numbers are of the watcher's own machine: web processes may run on another one. Null
    where they were not looked at yet, or can't be seen.
    """

    id = models.CharField(primary_key=True, max_length=70, default=new_host_id, editable=False)
    name = models.CharField(max_length=63, unique=True)
    engine_id = models.CharField(max_length=200, blank=True)
    engine_version = models.CharField(max_length=50, blank=True)
    platform = models.CharField(max_length=50, blank=True)
    heartbeat_at = models.DateTimeField(null=True)
    last_sweep_at = models.DateTimeField(null=True)  # of the image cache
    disk_seen_at = models.DateTimeField(null=True)
    data_free_bytes = models.BigIntegerField(null=True)
    data_total_bytes = models.BigIntegerField(null=True)
    engine_free_bytes = models.BigIntegerField(null=True)
    engine_total_bytes = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class HostImage(models.Model):
    """A name below crewship-cache or crewship-layer on a host, at most 2 s behind the engine."""

    host = models.ForeignKey(DockerHost, models.CASCADE, related_name="seen_images")
    tag = models.CharField(max_length=200)
    image_id = models.CharField(max_length=80)
    size_bytes = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "tag"], name="host_image_tag_once")]

    def __str__(self) -> str:
        return self.tag


class CachedImage(models.Model):
    """An image that we made for a config hash, under ``crewship-cache:<first 12 hex digits>``.

    ``requirements`` is what agents need at start (mounts, entrypoints, postStart) and
    ``provenance`` what it was made of; a hit has them too.
    """

    host = models.ForeignKey(DockerHost, models.CASCADE, related_name="cached_images")
    tag = models.CharField(max_length=80)
    config_hash = models.CharField(max_length=64)
    image_id = models.CharField(max_length=80)
    parent_image_id = models.CharField(max_length=80, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    requirements = models.JSONField(default=dict)
    provenance = models.JSONField(default=dict)
    job_id = models.CharField(max_length=70, blank=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField()
    deleting_at = models.DateTimeField(
        null=True, blank=True, help_text="Being removed: not a hit any more."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["host", "tag"], name="cached_image_tag_once_a_host")
        ]
        indexes = [models.Index(fields=["config_hash"], name="cached_image_by_hash")]
        ordering = ["-created_at", "tag"]

    def __str__(self) -> str:
        return self.tag


class Layer(models.Model):
    """A snapshot that builds stand on, under ``crewship-layer:<key>`` (or ``<key>-<job>`` for
    one that a rebuild made beside it). A row stands before its image does, so that whatever a
    dead worker leaves behind has a name in our records."""

    host = models.ForeignKey(DockerHost, models.CASCADE, related_name="layers")
    key = models.CharField(max_length=64)
    tag = models.CharField(max_length=200)
    kind = models.CharField(max_length=20)
    label = models.CharField(max_length=200)
    parts = models.JSONField(default=dict)
    facts = models.JSONField(default=dict, help_text="What the build found out, e.g. mise's env.")
    image_id = models.CharField(max_length=80, blank=True)  # empty while it is being built
    parent_image_id = models.CharField(max_length=80, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    job_id = models.CharField(max_length=70)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["host", "tag"], name="layer_tag_once_a_host")
        ]
        indexes = [
            models.Index(fields=["host", "key"], name="layer_by_key"),
            models.Index(fields=["host", "parent_image_id"], name="layer_by_parent"),
        ]

    def __str__(self) -> str:
        return self.label


class KnownBase(models.Model):
    """A base image as the last build from it found it on the host: what a plan needs to know."""

    host = models.ForeignKey(DockerHost, models.CASCADE, related_name="known_bases")
    ref = models.CharField(max_length=600)
    image_id = models.CharField(max_length=80)
    platform = models.CharField(max_length=50)
    layer_count = models.PositiveSmallIntegerField()
    label = models.TextField(blank=True, help_text="Its devcontainer.metadata.")
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "ref"], name="known_base_once")]

    def __str__(self) -> str:
        return self.ref


class LayerLease(models.Model):
    """The right of one job to build one layer; others wait for it or use what it made."""

    host = models.ForeignKey(DockerHost, models.CASCADE, related_name="leases")
    key = models.CharField(max_length=64)
    job_id = models.CharField(max_length=70)
    fence = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "key"], name="layer_lease_once")]

    def __str__(self) -> str:
        return self.key[:12]


class UpkeepProblem(models.Model):
    """A thing that upkeep could not do, and when it is tried again. No row: all is well.

    Upkeep is what the host's watcher and the scheduler do by themselves: removing containers and
    images, listing images, taking jobs from lost workers. ``kind`` is what is done (a
    ``cache.upkeep.Kind``), ``name`` what it is done to: a container, a tag, the id of a job; for
    ``Kind.DUTY`` a whole round of work. ``host`` is empty for what belongs to no host.

    ``first_at`` is when it failed first, ``last_at`` when it did last, ``tries`` how often so far;
    it is left alone until ``retry_at``. ``error`` and ``code`` are those of the last try. The row
    goes once it succeeds, or once there is nothing to do any more. At most
    ``cache.upkeep.MAX_ROWS`` rows a host and kind. Written by ``cache.upkeep`` only.
    """

    host = models.ForeignKey(
        DockerHost, models.CASCADE, null=True, blank=True, related_name="upkeep_problems"
    )
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=200)
    error = models.CharField(max_length=500)
    code = models.CharField(max_length=60)
    tries = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    retry_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["host", "kind", "name"], name="upkeep_problem_once_a_host"
            ),
            # Null equals nothing, so the constraint above does not see these.
            models.UniqueConstraint(
                fields=["kind", "name"],
                condition=models.Q(host=None),
                name="upkeep_problem_once_without_host",
            ),
        ]
        ordering = ["first_at", "pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
