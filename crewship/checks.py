"""System checks: mistakes of a deployment, each with an id and what to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


@register(Tags.security, deploy=True)
def check_secret_key(
    app_configs: Sequence[AppConfig] | None,
    **kwargs: Any,  # Any: Django's
) -> list[CheckMessage]:
    if len(settings.SECRET_KEY) < 50:
        return [
            Error(
                "The secret key is short.",
                hint="Unset CREWSHIP_SECRET_KEY to have one made, or give one of 50 characters.",
                id="crewship.E001",
            )
        ]
    return []


@register(deploy=True)
def check_sqlite_and_remote_redis(
    app_configs: Sequence[AppConfig] | None,
    **kwargs: Any,  # Any: Django's
) -> list[CheckMessage]:
    sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    local = "unix://" in settings.CREWSHIP.redis_url or "127.0.0.1" in settings.CREWSHIP.redis_url
    if sqlite and not local and "localhost" not in settings.CREWSHIP.redis_url:
        return [
            Warning(
                "SQLite serves one machine, but the Redis server is another one's.",
                hint="Set CREWSHIP_DATABASE_URL to a PostgreSQL database.",
                id="crewship.W001",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def check_fault_points(
    app_configs: Sequence[AppConfig] | None,
    **kwargs: Any,  # Any: Django's
) -> list[CheckMessage]:
    if not os.environ.get("CREWSHIP_FAULT_DIR"):
        return []
    return [
        Warning(
            "CREWSHIP_FAULT_DIR is set: files in that directory can hold builds up.",
            hint="Unset it. Only the chaos tests of the project need it.",
            id="crewship.W002",
        )
    ]
