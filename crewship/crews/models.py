"""Crews (owners of a config) and their agents (named commands that run in the crew's image)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
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
    agent_memory_mb = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(16)],
        help_text="Memory of each agent; empty: the installation's default.",
    )
    agent_cpus = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.05)],
        help_text="Processors of each agent; empty: the installation's default.",
    )
    agent_pids = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(16)],
        help_text="Processes of each agent; empty: the installation's default.",
    )
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


class AgentStatus(models.TextChoices):
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"  # meant to run, its command ended; it is started again
    FAILED = "failed"  # meant to run, could not be started; ``error`` says why


class Agent(models.Model):
    """A command that runs in a container from the crew's image.

    What is wanted (``wants_running``, ``asked``) is written by requests; what is (``status`` to
    ``started_at``, ``done``) by the host's watcher. ``asked`` counts the requests to start, stop
    or restart, ``done`` is the last of them that was carried out, whether or not it worked.
    ``live_image_id`` is the id of the image that its container runs now, as the host watcher
    last saw it; empty while none runs.
    """

    id = models.CharField(primary_key=True, max_length=70, default=new_agent_id, editable=False)
    crew = models.ForeignKey(Crew, models.CASCADE, related_name="agents")
    name = models.CharField(max_length=50, validators=[validate_slug])
    command = models.TextField(blank=True)
    env = models.JSONField(default=dict, blank=True, help_text="Values that anybody may read.")
    sealed_env = models.TextField(
        blank=True, editable=False, help_text="Secret values, encrypted as one JSON object."
    )
    secret_names = models.JSONField(
        default=list, editable=False, help_text="Names of the secret values, to be shown."
    )
    wants_running = models.BooleanField(default=False)
    asked = models.PositiveIntegerField(default=0, editable=False)
    done = models.PositiveIntegerField(default=0, editable=False)
    status = models.CharField(
        max_length=10, choices=AgentStatus.choices, default=AgentStatus.STOPPED, editable=False
    )
    error = models.TextField(blank=True, editable=False)
    exit_code = models.IntegerField(null=True, editable=False)
    restarts = models.PositiveIntegerField(
        default=0, editable=False, help_text="Times that it was started again after it ended."
    )
    host_name = models.CharField(
        max_length=63, blank=True, editable=False, help_text="The Docker host that runs it."
    )
    container_id = models.CharField(max_length=80, blank=True, editable=False)
    live_image_id = models.CharField(max_length=80, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["crew", "name"], name="agent_name_once_a_crew")
        ]
        indexes = [models.Index(fields=["live_image_id"], name="agent_by_live_image")]

    def __str__(self) -> str:
        return self.name


class AgentLogChunk(models.Model):
    """Some lines of an agent's output, oldest first by ``seq``; old chunks are dropped."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="log_chunks")
    seq = models.PositiveIntegerField()
    lines = models.JSONField(default=list)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "seq"], name="agent_log_seq_once_an_agent")
        ]
        ordering = ["agent", "seq"]

    def __str__(self) -> str:
        return f"{self.agent_id} {self.seq}"
