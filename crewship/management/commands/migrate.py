"""Django's ``migrate``, one process at a time on one data directory.

``crewship start`` and ``manage.py bootstrap`` both migrate and may begin together; without the
lock the second one meets half-made tables.
"""

from __future__ import annotations

import fcntl
from typing import Any

from django.conf import settings
from django.core.management.commands.migrate import Command as DjangoMigrate

from crewship.web.sqlite_space import keep_room_countable


class Command(DjangoMigrate):
    def handle(self, *args: Any, **options: Any) -> str | None:
        settings.CREWSHIP.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (settings.CREWSHIP.data_dir / "migrate.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keep_room_countable()
            return super().handle(*args, **options)
