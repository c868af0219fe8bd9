"""What commands do that run on the server's machine: Django, the engine, the data directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crewship.domain.errors import Unavailable

if TYPE_CHECKING:
    from crewship.settings.options import Options
    from provisioning.prune import PruneReport


def host_options() -> Options:
    """The operator's settings, with Django ready, and no trace of having looked. Raises
    SettingsError.

    Importing the settings makes a secret key where there is none; who signs nothing brings one.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crewship.settings")
    os.environ.setdefault("CREWSHIP_LOG_LEVEL", "WARNING")  # the terminal is for the answer
    if "crewship.settings" not in sys.modules:
        os.environ.setdefault("CREWSHIP_SECRET_KEY", "signs nothing")
    import django

    django.setup()
    from django.conf import settings

    options: Options = settings.CREWSHIP
    return options


def swept(*, remove: bool, more_than_half: bool) -> dict[str, Any]:  # Any: JSON
    """One sweep of the image cache, as ``manage.py gc`` does it. Raises EngineUnreachable,
    TooMuchAtOnce unless it may remove ``more_than_half``, Unavailable where no server is."""
    options = host_options()
    from django.db import DatabaseError

    from cache.gc import A_HALF
    from cache.hosts import host_of_engine
    from provisioning.sweep_cache import sweep_cache
    from provisioning.toolbox import host_engine

    _check_installation(options)
    engine = host_engine()
    try:
        host = host_of_engine(options.host_name, engine.info())
        share = None if more_than_half else A_HALF
        report = sweep_cache(engine, host, remove=remove, at_once=True, share=share)
    except DatabaseError as error:
        raise _no_installation(options) from error
    return {
        "removed": report.removed,
        "items": [
            {
                "kind": item.kind,
                "tag": item.tag,
                "size_bytes": item.size_bytes,
                "freed_bytes": item.freed_bytes,
            }
            for item in report.items
        ],
        "kept_in_use": report.kept_in_use,
        "freed_bytes": report.freed_bytes,
        "used_bytes": report.used_bytes,
        "high_bytes": report.high_bytes,
        "low_bytes": report.low_bytes,
    }


def pruned(*, remove: bool, vacuum: bool) -> PruneReport:
    """Old rows are removed or only counted, as ``manage.py prune`` does it. Raises NoRoomToRewrite
    with ``vacuum``, Unavailable where no server is."""
    options = host_options()
    from django.db import OperationalError, ProgrammingError

    from crewship.web.database import DatabaseUnavailable, is_away
    from provisioning.prune import prune

    _check_installation(options)
    try:
        return prune(remove=remove, vacuum=vacuum)
    except (ProgrammingError, OperationalError) as error:
        if is_away(error):
            raise DatabaseUnavailable from error
        raise _no_installation(options) from error


def _check_installation(options: Options) -> None:
    """Connecting to SQLite would make the file. Raises Unavailable."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3") and not Path(database["NAME"]).exists():
        raise _no_installation(options)


def _no_installation(options: Options) -> Unavailable:
    return Unavailable(
        f"There is no database of a server in {options.data_dir}.",
        code="no_installation",
        hint="Run this on the server's machine, with its CREWSHIP_DATA_DIR or database URL.",
    )
