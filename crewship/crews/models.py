"""Crews (owners of a config) and their agents (named commands that run in the crew's image)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models

from crewship.domain.ids import new_agent_id, new_crew_id
from crewship.workspaces.models import Workspace, validate_slug

RESERVED_SLUGS = frozenset({"status", "current"})  # words of the CLI that stand where slugs do


def validate_crew_slug(value: str) -> None:
    validate_slug(value)
    if value in RESERVED_SLUGS:
        raise ValidationError(f"{value} is a word of the command line.", code="slug_reserved")


class Crew(models.Model):
    """Texts as a person wrote them, byte for byte, and what they amount to.

    ``config_hash`` is the hash of the texts (null: nothing to provision); ``cached_image`` is
    the tag of the image that was committed for that hash, or null.
    """

    id = models.CharField(primary_key=True, max_length=70, default=new_crew_id, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="crews")
    name = models.CharField(max_length=100)
    slug = models.CharField(max_length=50, validators=[validate_crew_slug])
    runtime_image = models.CharField(max_length=512, blank=True)
    devcontainer_config = models.TextField(null=True, blank=True)  # noqa: DJ001  # null: has none
    mise_config = models.TextField(null=True, blank=True)  # noqa: DJ001  # null: has none
    lock_config = models.TextField(null=True, blank=True)  # noqa: DJ001  # null: has none
    config_hash = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001  # null in the API
    cached_image = models.CharField(max_length=80, null=True, blank=True, editable=False)  # noqa: DJ001  # null in the API
    auto_provision = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "slug"], name="crew_slug_once_a_workspace")
        ]
        indexes = [
            models.Index(fields=["cached_image"], name="crew_by_cached_image"),
            models.Index(fields=["config_hash"], name="crew_by_config_hash"),
        ]

    def __str__(self) -> str:
        return self.slug


class Agent(models.Model):
    """A command that runs in a container from the crew's image.

    ``live_image_id`` is the id of the image that its container runs now, as the host watcher
    last saw it; empty while none runs.
    """

    id = models.CharField(primary_key=True, max_length=70, default=new_agent_id, editable=False)
    crew = models.ForeignKey(Crew, models.CASCADE, related_name="agents")
    name = models.CharField(max_length=50, validators=[validate_slug])
    command = models.TextField(blank=True)
    wants_running = models.BooleanField(default=False)
    live_image_id = models.CharField(max_length=80, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["crew", "name"], name="agent_name_once_a_crew")
        ]
        indexes = [models.Index(fields=["live_image_id"], name="agent_by_live_image")]

    def __str__(self) -> str:
        return self.name
