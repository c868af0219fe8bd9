"""Request rates per user and per anonymous address, shared by all web processes through Redis."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.conf import settings
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import AnonRateThrottle, SimpleRateThrottle, UserRateThrottle

if TYPE_CHECKING:  # DRF loads this module while it defines APIView
    from rest_framework.views import APIView

log = logging.getLogger(__name__)


class _OpenWithoutRedis(SimpleRateThrottle):
    """Lets requests pass while Redis is away: an outage must not become an outage of the API.

    The workspace's own limit on starts is in the database and holds all the same.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return bool(super().allow_request(request, view))
        except RedisError as err:
            log.warning("throttling is off, Redis does not answer: %s", err)
            return True


class UserThrottle(_OpenWithoutRedis, UserRateThrottle):
    def get_rate(self) -> str:
        return f"{settings.CREWSHIP.limits.user_requests_per_minute}/min"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        if not request.user.is_authenticated:
            return None  # AnonymousThrottle counts these
        return f"throttle_user_{request.user.pk}"


class AnonymousThrottle(_OpenWithoutRedis, AnonRateThrottle):
    def get_rate(self) -> str:
        return f"{settings.CREWSHIP.limits.anonymous_requests_per_minute}/min"
