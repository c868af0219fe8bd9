"""Saying in the OpenAPI document which problems a route answers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

WORKSPACE_PARAMETERS = [
    OpenApiParameter("workspace_id", str, OpenApiParameter.QUERY, description="Id or slug."),
    OpenApiParameter(
        "X-Workspace-ID", str, OpenApiParameter.HEADER, description="Id or slug; the query wins."
    ),
]

MEANINGS = {
    400: (
        "Malformed id, body or config; `errors` lists what is wrong where. Or the workspace has as "
        "many of `what` as it may (`limit_reached`, `limit`)."
    ),
    401: "Not authenticated.",
    403: "The caller's role lacks the action.",
    404: "Not in the caller's workspace.",
    409: "The world is not as the caller thinks (`job_status`, `crew_ids`, `volumes`).",
    406: "The Accept header names no format that is spoken here.",
    410: "The job's log was removed, as old ones are (`log_pruned`).",
    413: "The body is longer than 2 MB.",
    415: "The body is not JSON.",
    429: "Too many requests or starts; `Retry-After` says how long to wait.",
    500: "Our fault; give the operator the `request_id`.",
    503: "No Docker host, or it has not been heard of for 5 s; or the database does not answer.",
}


class Problem(serializers.Serializer[Any]):
    """RFC 9457; the members after ``code`` are there where they are named."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    code = serializers.CharField(help_text="Stable; branch on this.")
    hint = serializers.CharField(required=False)
    errors = serializers.ListField(  # type: ignore[assignment]  # the metaclass takes it away
        child=serializers.DictField(), required=False
    )
    what = serializers.CharField(
        required=False, help_text="crews, running_agents, members, tokens: what is too many."
    )
    limit = serializers.IntegerField(required=False, help_text="How many of it there may be.")
    job_status = serializers.CharField(required=False)
    crew_ids = serializers.ListField(child=serializers.CharField(), required=False)
    volumes = serializers.ListField(child=serializers.CharField(), required=False)
    request_id = serializers.CharField(required=False)


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """Responses for ``extend_schema``: these statuses as problem+json, and those of every route.
    One that reads a body (415) refuses too large ones as well."""
    of_bodies = {413} if 415 in statuses else set()
    return {
        (status, "application/problem+json"): OpenApiResponse(Problem, MEANINGS[status])
        for status in sorted({401, 406, 429, 500, *statuses, *of_bodies})
    }
