"""What an author does with a crew's config beside saving it: try it, take it in, give it out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crewship.api.crews import saved_crew
from crewship.api.serializers import RawText, SavedCrewOutput, Warning
from crewship.crews.models import Crew
from crewship.crews.scope import CrewViewSet
from crewship.domain.roles import Action
from crewship.web.schema import WORKSPACE_PARAMETERS, problems
from crewship.workspaces.views import WorkspaceViewSet
from provisioning.authoring import save_crew
from provisioning.dry_run import plan_crew
from provisioning.transfer import export_crew, read_files


class PlanInput(serializers.Serializer[Any]):
    """Texts to plan with; those that are absent are the crew's own, if there is one."""

    runtime_image = serializers.CharField(
        allow_null=True, allow_blank=True, required=False, max_length=512
    )
    devcontainer_config = RawText()
    mise_config = RawText()
    lock_config = RawText()


class PlannedFeatureOutput(serializers.Serializer[Any]):
    ref = serializers.CharField(help_text="As the config or a dependsOn entry wrote it.")
    options = serializers.JSONField(help_text="As written: an object, a string or true.")
    env = serializers.DictField(child=serializers.CharField(), help_text="For its install.sh.")


class PlannedLayerOutput(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(["user", "feature", "mise", "final"])
    label = serializers.CharField()  # type: ignore[assignment]  # a Field has one, too
    key = serializers.CharField(allow_null=True, help_text="null: base or digest not known.")
    present = serializers.BooleanField(allow_null=True, help_text="Whether the host has it.")


class PlanErrorOutput(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    path = serializers.CharField(allow_null=True)


class PlanOutput(serializers.Serializer[Any]):
    """As `crewship plan --json`, with what the host has. `features` and `layers` are empty when
    there is an `error`."""

    config_hash = serializers.CharField()
    base = serializers.CharField()
    features = PlannedFeatureOutput(many=True)
    layers = PlannedLayerOutput(many=True)
    warnings = Warning(many=True)
    error = PlanErrorOutput(allow_null=True, help_text="What only registries could tell.")
    errors = serializers.ListField(  # type: ignore[assignment]  # the metaclass takes it away
        child=serializers.DictField(), required=False, help_text="All, where there are several."
    )
    cached_image = serializers.CharField(allow_null=True, help_text="The image, if it is there.")
    would_build = serializers.IntegerField(
        allow_null=True, help_text="Layers that are missing; null: not known."
    )
    notes = serializers.ListField(
        child=serializers.CharField(), help_text="Why something is not known."
    )


class CrewFilesOutput(serializers.Serializer[Any]):
    slug = serializers.CharField(max_length=50, trim_whitespace=False)
    name = serializers.CharField(max_length=100)
    runtime_image = serializers.CharField(
        max_length=512, allow_blank=True, help_text="Wins over the config's `image`; empty: none."
    )
    files = serializers.DictField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False),
        help_text="Texts by path: `.devcontainer/devcontainer.json`, `mise.toml`, "
        "`.devcontainer/devcontainer-lock.json`; also where else tools look for these.",
    )
    locked = serializers.BooleanField(
        default=True,
        help_text="false: the lock file only records what features resolved to, "
        "and is not taken in.",
    )


class CrewFilesInput(CrewFilesOutput):
    """An export, or files as they are; a name that is absent is the config's, else the slug."""

    name = serializers.CharField(max_length=100, required=False)
    runtime_image = serializers.CharField(max_length=512, allow_blank=True, required=False)
    auto_provision = serializers.BooleanField(required=False)


PLAN = (
    "Nothing is built, pulled or saved. Registries are asked for the features' metadata, 10 s at "
    "most; what they refuse is the answer's `error`. What could not be saved is a 400, as there."
)


@extend_schema(tags=["crews"], parameters=WORKSPACE_PARAMETERS)
class CrewPlanViewSet(CrewViewSet):
    actions = {"plan": Action.INSPECT, "export": Action.READ}

    @extend_schema(
        request=PlanInput,
        responses={200: PlanOutput, **problems(400, 403, 404, 415)},
        description=f"What a provision of the crew would do now. {PLAN}",
    )
    def plan(self, request: Request, crew_id: str) -> Response:
        return Response(plan_crew(self.crew, _texts(request)))

    @extend_schema(
        operation_id="crews_export", responses={200: CrewFilesOutput, **problems(400, 404)}
    )
    def export(self, request: Request, crew_id: str) -> Response:
        """The crew's config as the files of a repository. `POST /crews/import` takes this very
        object and makes a crew with the same `config_hash` of it."""
        return Response(asdict(export_crew(self.crew)))


@extend_schema(tags=["crews"], parameters=WORKSPACE_PARAMETERS)
class ImportViewSet(WorkspaceViewSet):
    actions = {"create": Action.CREATE}

    @extend_schema(
        operation_id="crews_import",
        request=CrewFilesInput,
        responses={201: SavedCrewOutput, **problems(400, 403, 404, 415)},
    )
    def create(self, request: Request) -> Response:
        """A new crew from the files of a repository, kept byte for byte, or from an export."""
        body = CrewFilesInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        texts = read_files(given.pop("files"), locked=given.pop("locked"))
        values = {"name": given["slug"], **texts, **given}
        saved = save_crew(self.scope.workspace, values, actor=self.scope.user)
        return Response(saved_crew(saved), status=201)


@extend_schema(tags=["crews"], parameters=WORKSPACE_PARAMETERS)
class PlanViewSet(WorkspaceViewSet):
    actions = {"plan": Action.INSPECT}

    @extend_schema(
        operation_id="plan",
        request=PlanInput,
        responses={200: PlanOutput, **problems(400, 403, 404, 415)},
        description=f"What a crew with these texts would have built. {PLAN}",
    )
    def plan(self, request: Request) -> Response:
        return Response(plan_crew(Crew(workspace=self.scope.workspace), _texts(request)))


def _texts(request: Request) -> dict[str, Any]:  # Any: fields of a crew
    body = PlanInput(data=request.data)
    body.is_valid(raise_exception=True)
    texts: dict[str, Any] = body.validated_data
    return texts
