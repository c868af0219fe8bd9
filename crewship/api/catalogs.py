"""The catalogs of features and runtimes: what can be put into a crew's configs.

They belong to no workspace: whoever is signed in reads them, and operators edit them in the admin.
Lists are answered from the last good copy, with an ETag.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.utils.http import parse_etags
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalogs.entries import CATEGORIES, FeatureEntry, RuntimeEntry
from catalogs.selectors import feature_catalog, feature_details, runtime_catalog, search
from crewship.web.schema import problems
from crewship.workspaces.views import AuthenticatedViewSet

PARAMETERS = [
    OpenApiParameter(
        "search",
        str,
        description="Part of name, description or category, whatever the case.",
    ),
    OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="A former ETag."),
]
NOT_MODIFIED = OpenApiResponse(description="The list is still the one of `If-None-Match`.")


# Shapes for the schema; thousands of entries need no validation on their way out.
class Feature(serializers.Serializer[Any]):
    ref = serializers.CharField(help_text="What to write into `devcontainer_config.features`.")
    name = serializers.CharField()
    description = serializers.CharField()
    category = serializers.ChoiceField(CATEGORIES)
    icon = serializers.CharField(help_text="A Lucide icon's name.")
    size_hint = serializers.CharField(help_text="What it adds to the image; empty: not known.")


class FeatureOption(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.ChoiceField(["string", "boolean"])
    default = serializers.JSONField(allow_null=True)
    description = serializers.CharField()
    enum = serializers.ListField(child=serializers.CharField(), help_text="Only these, if any.")
    proposals = serializers.ListField(child=serializers.CharField(), help_text="These or others.")


class FeatureDetails(Feature):
    options = FeatureOption(many=True, allow_null=True, help_text="null: not known.")


@extend_schema_serializer(many=False)  # one object, though the route is a list
class FeatureCatalog(serializers.Serializer[Any]):
    features = Feature(many=True)


class Runtime(serializers.Serializer[Any]):
    name = serializers.CharField()
    tool = serializers.CharField(help_text="The key in the mise config.")
    description = serializers.CharField()
    category = serializers.ChoiceField(CATEGORIES)
    icon = serializers.CharField(help_text="A Lucide icon's name.")
    versions = serializers.ListField(child=serializers.CharField(), help_text="Newest first.")
    default_version = serializers.CharField(
        help_text="Installed where a crew gives no version; empty: the latest."
    )
    backends = serializers.ListField(
        child=serializers.CharField(), help_text="Empty: mise's default."
    )


@extend_schema_serializer(many=False)  # as above
class RuntimeCatalog(serializers.Serializer[Any]):
    runtimes = Runtime(many=True)


@extend_schema(tags=["catalogs"])
class FeatureCatalogViewSet(AuthenticatedViewSet):
    @extend_schema(
        operation_id="features_catalog",
        parameters=PARAMETERS,
        responses={200: FeatureCatalog, 304: NOT_MODIFIED, **problems()},
    )
    def list(self, request: Request) -> Response:
        """Every feature that is known, by name; one publisher's where several have it."""
        catalog, text = feature_catalog(), request.query_params.get("search", "")
        etag = _etag(catalog.etag, text)
        if _is_known(request, etag):
            return _answer(None, etag)
        found = [_feature(entry) for entry in search(catalog.listed, text)]
        return _answer({"features": found}, etag)

    @extend_schema(
        operation_id="features_catalog_retrieve",
        responses={200: FeatureDetails, **problems(400, 404)},
    )
    def retrieve(self, request: Request, ref: str) -> Response:
        """One feature with its options, in their publisher's order. The tag may be left out."""
        entry = feature_details(ref)
        options = None if entry.options is None else list(entry.options)
        return Response({**_feature(entry), "options": options})


@extend_schema(tags=["catalogs"])
class RuntimeCatalogViewSet(AuthenticatedViewSet):
    @extend_schema(
        operation_id="runtimes_catalog",
        parameters=PARAMETERS,
        responses={200: RuntimeCatalog, 304: NOT_MODIFIED, **problems()},
    )
    def list(self, request: Request) -> Response:
        """Every tool that mise can install, by name."""
        catalog, text = runtime_catalog(), request.query_params.get("search", "")
        etag = _etag(catalog.etag, text)
        if _is_known(request, etag):
            return _answer(None, etag)
        found = [_runtime(entry) for entry in search(catalog.listed, text)]
        return _answer({"runtimes": found}, etag)


def _feature(entry: FeatureEntry) -> dict[str, Any]:  # Any: JSON
    names = ("ref", "name", "description", "category", "icon", "size_hint")
    return {name: getattr(entry, name) for name in names}


def _runtime(entry: RuntimeEntry) -> dict[str, Any]:  # Any: JSON
    return {
        "name": entry.name,
        "tool": entry.key,
        "description": entry.description,
        "category": entry.category,
        "icon": entry.icon,
        "versions": list(entry.versions),
        "default_version": entry.default_version,
        "backends": list(entry.backends),
    }


def _etag(catalog: str, text: str) -> str:
    asked = hashlib.sha256(text.casefold().encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f'"{catalog}-{asked}"' if text else f'"{catalog}"'


def _is_known(request: Request, etag: str) -> bool:
    """Whether the caller has this list already (RFC 9110, 13.1.2: a weak comparison)."""
    given = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in given or etag in {tag.removeprefix("W/") for tag in given}


def _answer(body: dict[str, Any] | None, etag: str) -> Response:
    """``None`` is a 304."""
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    return Response(body, status=304 if body is None else 200, headers=headers)
