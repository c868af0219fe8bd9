"""Shapes of crews in the API; what is legal in the texts is crewship.devcontainer's business."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from crewship.crews.models import Crew
from crewship.crews.services import AGENT_LIMITS
from provisioning.deletion import Volumes
from provisioning.states import ProvisionStatus


class RawText(serializers.CharField):
    """Text kept byte for byte: no trimming; null and the empty string clear it."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        super().__init__(allow_null=True, allow_blank=True, required=False, **kwargs)


class CrewInput(serializers.Serializer[dict[str, Any]]):
    name = serializers.CharField(max_length=100)
    slug = serializers.CharField(max_length=50, trim_whitespace=False)
    runtime_image = serializers.CharField(
        allow_null=True, allow_blank=True, required=False, max_length=512
    )
    devcontainer_config = RawText()
    mise_config = RawText()
    lock_config = RawText(
        help_text="A devcontainer-lock.json: features resolve by its digests. At most 100 KB."
    )
    auto_provision = serializers.BooleanField(required=False)
    agent_memory_mb = serializers.IntegerField(
        allow_null=True, required=False, help_text="Of each agent; null: the installation's."
    )
    agent_cpus = serializers.FloatField(allow_null=True, required=False)
    agent_pids = serializers.IntegerField(allow_null=True, required=False)


class DeletionQuery(serializers.Serializer[dict[str, Any]]):
    volumes = serializers.ChoiceField(
        choices=[choice.value for choice in Volumes],
        required=False,
        help_text="Whether the volumes of the crew's agents stay or go.",
    )


class CrewOutput(serializers.ModelSerializer[Crew]):
    provision_status = serializers.SerializerMethodField()
    cached_image = serializers.SerializerMethodField()
    runtime_image = serializers.SerializerMethodField()

    class Meta:
        model = Crew
        fields = [
            "id",
            "name",
            "slug",
            "runtime_image",
            "devcontainer_config",
            "mise_config",
            "lock_config",
            "cached_image",
            "config_hash",
            "provision_status",
            "auto_provision",
            *AGENT_LIMITS,
            "created_at",
            "updated_at",
        ]

    def get_provision_status(self, crew: Crew) -> ProvisionStatus:
        status: ProvisionStatus = self.context["statuses"][crew.pk].status
        return status

    def get_cached_image(self, crew: Crew) -> str | None:
        image: str | None = self.context["statuses"][crew.pk].cached_image
        return image

    def get_runtime_image(self, crew: Crew) -> str | None:
        return crew.runtime_image or None


class Warning(serializers.Serializer[Any]):
    path = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class SavedCrewOutput(CrewOutput):
    """A crew as it was just saved, with what in its texts is legal but has no effect here,
    and why ``auto_provision`` started nothing."""

    warnings = Warning(many=True, read_only=True)

    class Meta(CrewOutput.Meta):
        fields = [*CrewOutput.Meta.fields, "warnings"]
