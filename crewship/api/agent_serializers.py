"""Shapes of agents in the API; what is legal in them is crewship.crews.agents' business."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from crewship.api.serializers import Warning
from crewship.crews.agent_env import shown_env
from crewship.crews.models import AgentStatus
from crewship.devcontainer.types import Json
from provisioning.agents.selectors import AgentView

MAX_TAIL = 10_000  # lines

_ENV_IN = {
    "type": "object",
    "additionalProperties": {
        "oneOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"secret": {"oneOf": [{"type": "string"}, {"const": True}]}},
                "required": ["secret"],
            },
        ]
    },
}
_ENV_OUT = {
    "type": "object",
    "additionalProperties": {
        "oneOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"secret": {"const": True}},
                "required": ["secret"],
            },
        ]
    },
}


@extend_schema_field(_ENV_IN)
class EnvField(serializers.JSONField):
    """Replaced as a whole; ``{"secret": true}`` keeps the secret that is stored."""


class AgentInput(serializers.Serializer[dict[str, Any]]):
    name = serializers.CharField(max_length=50, trim_whitespace=False)
    command = serializers.CharField(
        allow_blank=True, trim_whitespace=False, help_text="For /bin/sh -c, as uid 1001."
    )
    env = EnvField(
        required=False,
        allow_null=True,
        help_text='`"value"`, `{"secret": "value"}`, or `{"secret": true}`: as it is stored.',
    )


class AgentOutput(serializers.Serializer[Any]):
    """Secret values are never answered; a VIEWER is not told their names either."""

    id = serializers.CharField(source="agent.id")
    name = serializers.CharField(source="agent.name")
    command = serializers.CharField(source="agent.command")
    env = serializers.SerializerMethodField()
    status = serializers.ChoiceField(source="agent.status", choices=AgentStatus.choices)
    error = serializers.CharField(
        source="agent.error", help_text="Why it could not be started; empty: nothing is wrong."
    )
    exit_code = serializers.IntegerField(
        source="agent.exit_code", allow_null=True, help_text="Of the last time that it ended."
    )
    restarts = serializers.IntegerField(source="agent.restarts")
    image = serializers.CharField(
        allow_null=True, help_text="What its live container runs: a tag, or an image id."
    )
    stale = serializers.BooleanField(help_text="That is not the crew's current image.")
    started_at = serializers.DateTimeField(source="agent.started_at", allow_null=True)
    created_at = serializers.DateTimeField(source="agent.created_at")

    @extend_schema_field(_ENV_OUT)
    def get_env(self, view: AgentView) -> dict[str, Json]:
        return shown_env(view.agent, with_secrets=self.context["with_secrets"])


class SavedAgentOutput(AgentOutput):
    """An agent as it was just saved; ``warnings`` only when there are any."""

    warnings = Warning(many=True, required=False)


class LogQuery(serializers.Serializer[dict[str, Any]]):
    tail = serializers.IntegerField(
        min_value=0, max_value=MAX_TAIL, default=200, help_text="Lines, the last ones."
    )
    follow = serializers.BooleanField(
        default=False, help_text="Go on with what it prints from now on."
    )
