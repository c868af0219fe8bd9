"""The OpenAPI document, and Swagger UI over it from files of this installation."""

from __future__ import annotations

from typing import Any

from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from crewship.web import csp
from crewship.workspaces.views import AuthenticatedView


class SchemaView(AuthenticatedView, SpectacularAPIView):
    """JSON for whoever is signed in; by itself it would be YAML for everybody."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer]


class DocsView(AuthenticatedView, SpectacularSwaggerView):
    """A page; its errors are problems like everybody's, not pages."""

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        final.headers.setdefault(csp.HEADER, csp.SWAGGER_POLICY)
        return final

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return response
