"""``manage.py gc``: one sweep of the image cache now."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from cache.gc import A_HALF, TooMuchAtOnce
from cache.hosts import host_of_engine
from provisioning.sweep_cache import sweep_cache
from provisioning.toolbox import host_engine


class Command(BaseCommand):
    help = "Remove (or with --dry-run only list) what no crew uses any more on this Docker host."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true")
        parser.add_argument("--yes", action="store_true", help="More than half of all, too.")

    def handle(self, *args: Any, **options: Any) -> None:
        engine = host_engine()
        host = host_of_engine(settings.CREWSHIP.host_name, engine.info())
        share = None if options["yes"] else A_HALF
        try:
            report = sweep_cache(
                engine, host, remove=not options["dry_run"], at_once=True, share=share
            )
        except TooMuchAtOnce as err:
            raise CommandError(f"{err.message} {err.error_hint}") from err
        for item in report.items:
            self.stdout.write(f"{item.kind:6} {item.freed_bytes / 1e6:8.0f} MB  {item.tag}")
        done = "removed" if report.removed else "could be removed"
        self.stdout.write(f"{len(report.items)} {done}, {report.freed_bytes / 1e6:.0f} MB")
        for tag in report.kept_in_use:
            self.stdout.write(f"kept, a container uses it: {tag}")
