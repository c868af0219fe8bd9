"""The cache image registry of CONTRACT.md, per Docker host."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from cache.selectors import crews_referencing, present_images
from cache.services import delete_image
from crewship.domain.roles import Action
from crewship.web.schema import WORKSPACE_PARAMETERS, problems
from crewship.workspaces.views import WorkspaceViewSet
from provisioning.api.serializers import CachedImagesOutput


@extend_schema(tags=["cache"], parameters=WORKSPACE_PARAMETERS)
class CachedImageViewSet(WorkspaceViewSet):
    """Every workspace sees every tag of the host; crew ids are its own only."""

    actions = {"list": Action.READ, "destroy": Action.DELETE}

    @extend_schema(
        operation_id="cache_images_list", responses={200: CachedImagesOutput, **problems(400, 404)}
    )
    def list(self, request: Request) -> Response:
        """The images that are on the host now, newest first."""
        images = list(present_images().order_by("-created_at", "tag"))
        crews = crews_referencing({image.tag for image in images}, self.scope.workspace)
        rows: list[dict[str, Any]] = [
            {
                "tag": image.tag,
                "config_hash": image.config_hash,
                "created_at": image.created_at,
                "size_bytes": image.size_bytes,
                "referenced_by_crew_ids": crews.get(image.tag, []),
            }
            for image in images
        ]
        return Response(CachedImagesOutput({"images": rows}).data)

    @extend_schema(responses={204: None, **problems(400, 403, 404, 409, 503)})
    def destroy(self, request: Request, tag: str) -> Response:
        """Remove an image that no crew and no live agent uses; it is gone when this answers."""
        delete_image(tag, workspace=self.scope.workspace)
        return Response(status=204)
