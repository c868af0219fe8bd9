"""``manage.py prune``: remove what is older than it is kept now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from crewship.web.sqlite_space import NoRoomToRewrite
from provisioning.prune import prune


class Command(BaseCommand):
    help = "Remove (or with --dry-run only count) logs, jobs and others that are too old to keep."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true")
        parser.add_argument(
            "--vacuum",
            action="store_true",
            help="Also rewrite a SQLite file, once for one of an older version; writers wait.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = prune(remove=not options["dry_run"], vacuum=options["vacuum"])
        except NoRoomToRewrite as err:
            raise CommandError(f"{err.message} {err.error_hint}") from err
        for line in report.lines():
            self.stdout.write(line)
