"""Our lists: ``{"results", "next", "previous"}`` by cursor, 50 a page, newest first."""

from __future__ import annotations

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Ordered by id: our ids are ULIDs, so that is by time of making, without ties."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
