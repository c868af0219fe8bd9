"""``manage.py gc``: one sweep of the image cache now."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from cache.gc import sweep
from cache.hosts import host_of_engine
from provisioning.toolbox import host_engine


class Command(BaseCommand):
    help = "Remove (or with --dry-run only list) what no crew uses any more on this Docker host."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        engine = host_engine()
        host = host_of_engine(settings.CREWSHIP.host_name, engine.info())
        report = sweep(engine, host, remove=not options["dry_run"], at_once=True)
        for item in report.items:
            self.stdout.write(f"{item.kind:6} {item.size_bytes / 1e6:8.0f} MB  {item.tag}")
        done = "removed" if report.removed else "could be removed"
        self.stdout.write(f"{len(report.items)} {done}")
        for tag in report.kept_in_use:
            self.stdout.write(f"kept, a container uses it: {tag}")
