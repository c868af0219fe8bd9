"""Shapes of the provisioning and cache routes; CONTRACT.md fixes the names."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from provisioning.agents.services import FailedAgent, RestartReport
from provisioning.freshness import ImageStatus, PartStatus
from provisioning.models import ProvisionJob
from provisioning.selectors import StatusView
from provisioning.states import JobState, ProvisionStatus

JOB_FIELDS = ("step", "total", "message", "steps", "log_tail", "started_at", "completed_at")


class ProvisionStatusOutput(serializers.Serializer[StatusView]):
    """The fields after ``agents_pending_restart`` are there while a job runs, and for the crew's
    latest job until the next job or config change; absent otherwise, never null."""

    status = serializers.ChoiceField(choices=ProvisionStatus.choices)
    devcontainer_config = serializers.CharField(allow_null=True)
    cached_image = serializers.CharField(allow_null=True)
    config_hash = serializers.CharField(allow_null=True)
    agents_pending_restart = serializers.IntegerField()
    step = serializers.IntegerField(required=False)
    total = serializers.IntegerField(required=False)
    message = serializers.CharField(required=False)
    steps = serializers.ListField(child=serializers.CharField(), required=False)
    log_tail = serializers.ListField(child=serializers.CharField(), required=False)
    started_at = serializers.DateTimeField(required=False)
    completed_at = serializers.DateTimeField(required=False)
    error = serializers.CharField(required=False)

    def to_representation(self, instance: StatusView) -> dict[str, Any]:  # Any: JSON
        out: dict[str, Any] = {
            "status": instance.status.value,
            "devcontainer_config": instance.devcontainer_config,
            "cached_image": instance.cached_image,
            "config_hash": instance.config_hash,
            "agents_pending_restart": instance.agents_pending_restart,
        }
        job = instance.job
        if job is None:
            return out
        time = serializers.DateTimeField()
        for name in JOB_FIELDS:
            value = getattr(job, name)
            if value is None:
                continue
            out[name] = time.to_representation(value) if name.endswith("_at") else value
        if job.error is not None:
            out["error"] = job.error
        return out


class StartedOutput(serializers.Serializer[dict[str, str]]):
    status = serializers.CharField()
    message = serializers.CharField()


class CancelOutput(serializers.Serializer[dict[str, Any]]):
    cancelled = serializers.BooleanField(help_text="Whether this call ended a job.")
    job_id = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(choices=ProvisionStatus.choices)


class FailedAgentOutput(serializers.Serializer[FailedAgent]):
    id = serializers.CharField()
    name = serializers.CharField()
    error = serializers.CharField()


class RestartedOutput(serializers.Serializer[RestartReport]):
    restarted = serializers.IntegerField()
    failed = FailedAgentOutput(many=True, required=False)

    def to_representation(self, instance: RestartReport) -> dict[str, Any]:  # Any: JSON
        out: dict[str, Any] = super().to_representation(instance)
        if not instance.failed:
            del out["failed"]
        return out


class PartStatusOutput(serializers.Serializer[PartStatus]):
    ref = serializers.CharField(help_text="As it is written in the config.")
    running_digest = serializers.CharField(
        allow_null=True, help_text="What the crew's image was made of."
    )
    resolved_digest = serializers.CharField(
        allow_null=True, help_text="What the registry has under the name now."
    )
    behind = serializers.BooleanField(allow_null=True, help_text="Null: not known.")
    reason = serializers.CharField(allow_blank=True)


class ImageStatusOutput(serializers.Serializer[ImageStatus]):
    """The digests are the base image's; ``behind`` looks at the features too."""

    cached_image = serializers.CharField(allow_null=True)
    running_digest = serializers.CharField(allow_null=True)
    resolved_digest = serializers.CharField(allow_null=True)
    behind = serializers.BooleanField(
        allow_null=True, help_text="Null: not known, and `reason` says why."
    )
    reason = serializers.CharField()
    features = PartStatusOutput(many=True)
    agents_pending_restart = serializers.IntegerField()


class JobOutput(serializers.ModelSerializer[ProvisionJob]):
    crew_id = serializers.CharField()
    state = serializers.ChoiceField(choices=JobState.choices)
    waits_for = serializers.CharField(
        source="leader_id", allow_null=True, help_text="The job that builds the same image now."
    )
    error = serializers.SerializerMethodField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    log_pruned_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When its log was removed because of its age; null: it was not.",
    )

    class Meta:
        model = ProvisionJob
        fields = [
            "id",
            "crew_id",
            "state",
            "rebuild",
            "refresh",
            "cache_hit",
            "config_hash",
            "image_id",
            "step",
            "message",
            "error",
            "resolved_features",
            "waits_for",
            "created_at",
            "started_at",
            "finished_at",
            "log_pruned_at",
        ]

    def get_error(self, job: ProvisionJob) -> dict[str, str] | None:
        if not job.error:
            return None
        return {"code": job.error_code, "message": job.error, "hint": job.error_hint}


class LockEntry(serializers.Serializer[Any]):
    version = serializers.CharField()
    resolved = serializers.CharField(help_text="The feature at its manifest's digest.")
    integrity = serializers.CharField(help_text="That digest.")
    dependsOn = serializers.ListField(child=serializers.CharField(), required=False)


class LockOutput(serializers.Serializer[Any]):
    """A devcontainer-lock.json as the reference implementation writes it."""

    features = serializers.DictField(child=LockEntry(), help_text="By reference, as written.")


class CachedImageOutput(serializers.Serializer[Any]):
    tag = serializers.CharField()
    config_hash = serializers.CharField()
    created_at = serializers.DateTimeField()
    size_bytes = serializers.IntegerField()
    referenced_by_crew_ids = serializers.ListField(child=serializers.CharField())


@extend_schema_serializer(many=False)  # one object, though the route is a list
class CachedImagesOutput(serializers.Serializer[Any]):
    images = CachedImageOutput(many=True)
