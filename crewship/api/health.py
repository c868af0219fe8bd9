"""``/readyz``: whether the service can be used, and for who is signed in how its parts are.

Load balancers ask both health routes by address, over plain HTTP and many times a minute: neither
needs a Host header of ours, a redirect to TLS or a sign-in, and neither is throttled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import DisallowedHost
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from crewship.web.health import database_answers, healthz, redis_answers
from crewship.workspaces.authentication import SessionAuthentication, TokenAuthentication
from provisioning.concerns import can_provision, concerns_of, what_stops_provisioning
from provisioning.health import Health, HostHealth, installation_health


@never_cache
def readyz(request: HttpRequest, *, details: bool = True) -> JsonResponse:
    """200 when database and Redis answer, else 503 with which one does not.

    ``provisioning`` is false when no job could run; that makes no 503, for pages and API work on.
    A signed-in user gets the parts too; ``details``: whether anybody may.
    """
    redis = redis_answers()
    provisioning, parts = False, {}
    try:
        database = database_answers()
        if database and details and _is_signed_in(request):
            health = installation_health()
            provisioning, parts = what_stops_provisioning(health.hosts) is None, _as_json(health)
        elif database:
            provisioning = can_provision()
    except DatabaseError:
        database = False
    ready = database and redis
    body = {"ready": ready, "database": database, "redis": redis, "provisioning": provisioning}
    return JsonResponse({**body, **parts}, status=200 if ready else 503)


class HealthByAddressMiddleware:
    """A health check whose Host header is none of ours is answered, without any details.

    Balancers send the address that they connect to. Elsewhere such a request is a 400: the header
    gets into links and redirects. These two answers have neither, and say nothing of anybody.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info in {"/healthz", "/readyz"} and not _is_for_us(request):
            return self._answer(request)
        return self.get_response(request)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if request.path_info == "/healthz":
            return healthz(request)
        return readyz(request, details=False)


def _is_for_us(request: HttpRequest) -> bool:
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True


def _is_signed_in(request: HttpRequest) -> bool:
    """By session or token; a wrong token is nobody's, and no error of a health check."""
    asking = Request(request, authenticators=[TokenAuthentication(), SessionAuthentication()])
    try:
        return bool(asking.user.is_authenticated)
    except APIException:
        return False


def _as_json(health: Health) -> dict[str, Any]:  # Any: JSON
    """Nothing that belongs to one workspace: whoever is signed in may read it."""
    return {
        "hosts": [_host_json(host) for host in health.hosts],
        "scheduler": {
            "alive": health.scheduler.is_alive,
            "heartbeat_age_s": _rounded(health.scheduler.heartbeat_age_s),
        },
        "queue": {
            "pending": health.queue.pending,
            "running": health.queue.running,
            "oldest_wait_s": _rounded(health.queue.oldest_wait_s),
        },
        "catalogs": {
            catalog.kind: {"fetched_age_s": _rounded(catalog.fetched_age_s)}
            for catalog in health.catalogs
        },
        "upkeep": {
            "failing": health.upkeep.failing,
            "oldest_age_s": _rounded(health.upkeep.oldest_age_s),
        },
        "concerns": [
            {
                "code": concern.code,
                "broken": concern.broken,
                "text": str(concern),
                "hint": concern.hint,
            }
            for concern in concerns_of(health)
        ],
    }


def _host_json(host: HostHealth) -> dict[str, Any]:  # Any: JSON
    return {
        "name": host.name,
        "alive": host.is_alive,
        "heartbeat_age_s": _rounded(host.heartbeat_age_s),
        "engine_version": host.engine_version,
        "workers": {
            "live": len(host.workers),
            "busy": sum(worker.job_id is not None for worker in host.workers),
        },
        "disks": {
            disk.name: {"free_bytes": disk.free_bytes, "total_bytes": disk.total_bytes}
            for disk in host.disks
        },
        "last_sweep_age_s": _rounded(host.last_sweep_age_s),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
