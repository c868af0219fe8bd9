"""Health for supervisors and load balancers: /healthz this process, /readyz what it needs."""

from __future__ import annotations

from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from redis.exceptions import RedisError


def healthz(request: HttpRequest) -> JsonResponse:
    """200 while this process serves requests."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database and Redis answer, else 503 with which one does not."""
    found = {"database": True, "redis": True}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        found["database"] = False
    try:
        cache.get("readyz")
    except (RedisError, OSError):
        found["redis"] = False
    ready = all(found.values())
    return JsonResponse({"ready": ready, **found}, status=200 if ready else 503)
