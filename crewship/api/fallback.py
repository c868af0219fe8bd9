"""Routes that do not exist: 401 first, then 404, as a problem."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from crewship.workspaces.views import AuthenticatedView


@extend_schema(exclude=True)
class UnknownRoute(AuthenticatedView):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound("There is no such route.")
