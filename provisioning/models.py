"""Provision jobs, the events that are their history, and what keeps them in bounds."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from cache.models import DockerHost
from crewship.crews.models import Crew
from crewship.domain.ids import new_job_id
from crewship.workspaces.models import Workspace
from provisioning.states import ACTIVE, EventKind, JobState
from provisioning.stored_json import StoredJSON


class ProvisionJob(models.Model):
    """One attempt to have an image for a crew. The texts are copies: what was built stays known
    when the crew's config changes under a running job.

    ``fence`` grows with every claim; a worker may write only while state and fence are its own.
    ``leader`` is the active job with the same hash that this one waits for.
    """

    id = models.CharField(primary_key=True, max_length=70, default=new_job_id, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="jobs")
    crew = models.ForeignKey(Crew, models.CASCADE, related_name="jobs")
    host = models.ForeignKey(DockerHost, models.PROTECT, related_name="jobs")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    leader = models.ForeignKey("self", models.SET_NULL, null=True, related_name="followers")
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.PENDING)
    rebuild = models.BooleanField(default=False)
    refresh = models.BooleanField(
        default=False,
        help_text="A rebuild that leaves the crew's marker until it is done, then restarts agents.",
    )
    config_hash = models.CharField(max_length=64)
    devcontainer_config = models.TextField()
    mise_config = models.TextField(null=True)  # noqa: DJ001  # null: the crew had none
    lock_config = models.TextField(null=True)  # noqa: DJ001  # null: the crew had none
    runtime_image = models.CharField(max_length=512, blank=True)

    fence = models.PositiveIntegerField(default=0)
    lost_workers = models.PositiveSmallIntegerField(default=0)
    lost_engines = models.PositiveSmallIntegerField(
        default=0, help_text="How often the Docker engine went away while the job ran."
    )
    worker = models.CharField(max_length=100, blank=True)
    heartbeat_at = models.DateTimeField(null=True)
    last_seq = models.PositiveIntegerField(default=0)

    step = models.PositiveSmallIntegerField(default=0)
    message = models.CharField(max_length=300, blank=True)
    error = models.TextField(blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_hint = models.TextField(blank=True)
    image_id = models.CharField(max_length=80, blank=True)
    cache_hit = models.BooleanField(default=False)
    resolved_features = models.JSONField(default=list)

    created_at = models.DateTimeField(default=now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    log_pruned_at = models.DateTimeField(
        null=True, help_text="Since when its log is gone, because of its age."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["crew"],
                condition=models.Q(state__in=sorted(ACTIVE)),
                name="job_one_active_a_crew",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=JobState.values), name="job_state_is_known"
            ),
        ]
        indexes = [
            models.Index(fields=["crew", "-id"], name="job_latest_of_crew"),
            models.Index(fields=["workspace", "state"], name="job_by_workspace_and_state"),
            models.Index(fields=["state", "heartbeat_at"], name="job_by_state_and_heartbeat"),
            models.Index(fields=["config_hash", "state"], name="job_by_hash_and_state"),
            models.Index(fields=["workspace", "created_at"], name="job_by_workspace_and_time"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.pk


class JobEvent(models.Model):
    """A fact about a job; ``seq`` counts from 1 in each job.

    While the log is kept only output ever goes again (``provisioning/job_log.py``): then the last
    event of what went is a LOG_GAP, so that whoever reads on from any seq before it learns of it.
    Of an old job the whole log goes (``provisioning/retention.py``): ``log_pruned_at`` says so.
    """

    job = models.ForeignKey(ProvisionJob, models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    step = models.PositiveSmallIntegerField(default=0)
    data = models.JSONField(default=dict, encoder=StoredJSON)
    at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "seq"], name="event_seq_once_a_job")]
        ordering = ["job", "seq"]

    def __str__(self) -> str:
        return f"{self.job_id} {self.seq} {self.kind}"


class ProvisionStart(models.Model):
    """An accepted start: what the workspace's limit per minute counts. Rows outlive their crew
    (deleting crews must not reset the limit) and are pruned after two minutes."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="starts")
    at = models.DateTimeField(default=now)

    class Meta:
        indexes = [models.Index(fields=["workspace", "at"], name="start_by_workspace_and_time")]

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.at:%H:%M:%S}"


class WorkerProcess(models.Model):
    """A process that runs provision jobs on a Docker host, written down by itself.

    It renews ``heartbeat_at`` while it waits, while a job runs, and while Redis is away; its row
    goes when it ends. One that was killed leaves its row behind until the sweep removes it; ask
    ``provisioning.worker_processes`` which ones live. What it works on is the running job whose
    ``worker`` is its name.
    """

    name = models.CharField(primary_key=True, max_length=100)
    host_name = models.CharField(max_length=63, db_index=True)
    machine = models.CharField(max_length=255, help_text="The name of the computer it runs on.")
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=now)
    heartbeat_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class SchedulerState(models.Model):
    """One row: when the installation's scheduler was last at work, by the database's clock, and
    when it last removed old rows (``provisioning/prune.py``)."""

    heartbeat_at = models.DateTimeField(null=True)
    pruned_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return "scheduler"


class ScratchContainer(models.Model):
    """A container that a job made, written down before it is made. Clean-up goes by these names,
    never by labels: a committed image hands its labels to every container made from it."""

    host = models.ForeignKey(DockerHost, models.CASCADE, related_name="scratch_containers")
    name = models.CharField(max_length=120, unique=True)
    job_id = models.CharField(max_length=70, db_index=True)
    fence = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class AgentContainer(models.Model):
    """An agent's container, written down by the host's watcher before it is made.

    Rows outlive their agent: the container of a row whose agent is gone is stopped and removed,
    then the row. Nothing else authorises a removal, as with ScratchContainer.
    """

    host_name = models.CharField(max_length=63)
    name = models.CharField(max_length=120)
    agent_id = models.CharField(max_length=70, db_index=True)
    crew_id = models.CharField(max_length=70, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["host_name", "name"], name="agent_container_name_once_a_host"
            )
        ]

    def __str__(self) -> str:
        return self.name


class AgentNetwork(models.Model):
    """The network that a crew's agents share, written down by the host's watcher before it is
    made. Rows outlive their crew: the network of a row whose crew is gone is removed, then the
    row, once no container is in it."""

    host_name = models.CharField(max_length=63)
    name = models.CharField(max_length=120)
    crew_id = models.CharField(max_length=70)
    subnet = models.CharField(max_length=18, help_text="Such as 10.213.4.0/24.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["host_name", "name"], name="agent_network_name_once_a_host"
            ),
            models.UniqueConstraint(
                fields=["host_name", "subnet"], name="agent_subnet_once_a_host"
            ),
            models.UniqueConstraint(
                fields=["host_name", "crew_id"], name="agent_network_once_a_crew"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AgentVolume(models.Model):
    """A volume that a crew's agents have data in, written down by the host's watcher before it is
    made. Rows outlive their crew: whoever deletes it says whether its volumes stay (the row stays
    as the record of whose they were) or go: ``delete_at`` is set, and the watcher removes volume
    and row as soon as no container uses it."""

    host_name = models.CharField(max_length=63)
    name = models.CharField(max_length=200)
    crew_id = models.CharField(max_length=70, db_index=True)
    target = models.CharField(max_length=500, help_text="Where agents find it.")
    created_at = models.DateTimeField(auto_now_add=True)
    delete_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is to go.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["host_name", "name"], name="agent_volume_name_once_a_host"
            )
        ]

    def __str__(self) -> str:
        return self.name
