"""What commands do that run on the server's machine: Django, the engine, the data directory."""

from __future__ import annotations

import os
from typing import Any


def swept(*, remove: bool) -> dict[str, Any]:  # Any: JSON
    """One sweep of the image cache, as ``manage.py gc`` does it. Raises EngineUnreachable."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crewship.settings")
    import django

    django.setup()
    from django.conf import settings

    from cache.gc import sweep
    from cache.hosts import register_host
    from provisioning.toolbox import host_engine

    engine = host_engine()
    host = register_host(settings.CREWSHIP.host_name, engine.info())
    report = sweep(engine, host, remove=remove)
    return {
        "removed": report.removed,
        "items": [
            {"kind": item.kind, "tag": item.tag, "size_bytes": item.size_bytes}
            for item in report.items
        ],
        "kept_in_use": report.kept_in_use,
    }
