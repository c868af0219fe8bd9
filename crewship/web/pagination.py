"""Our lists: ``{"results", "next", "previous"}`` by cursor, 50 a page, newest first."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """Ordered by id: our ids are ULIDs, so that is by time of making, without ties."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def decode_cursor(self, request: Request) -> Cursor | None:
        """DRF's, but a position that no database can look up is a 404 as any other bad cursor."""
        cursor: Cursor | None = super().decode_cursor(request)
        if cursor is not None and "\0" in str(cursor.position):
            raise NotFound(self.invalid_cursor_message)
        return cursor

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """All three members are always there; null is OpenAPI 3.1's, not DRF's ``nullable``."""
        page: dict[str, Any] = super().get_paginated_response_schema(schema)
        for name in ("next", "previous"):
            page["properties"][name] = {"type": ["string", "null"], "format": "uri"}
        return {**page, "required": ["results", "next", "previous"]}
