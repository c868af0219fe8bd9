"""``manage.py bootstrap``: the first workspace, its owner and a token, before or while it runs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from crewship.domain.errors import CrewshipError
from crewship.workspaces.actor import Via, acting_via
from crewship.workspaces.services import bootstrap


class Command(BaseCommand):
    help = "Make (or find) a workspace and its owner, and print a token for the API."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--email", required=True)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        is_new = not connection.introspection.table_names()
        call_command("migrate", interactive=False, verbosity=0)
        self._say_where(is_new)
        try:
            with acting_via(Via.COMMAND):
                made = bootstrap(slug=options["workspace"], email=options["email"])
        except CrewshipError as err:
            raise CommandError(err.message) from err
        if options["json"]:
            self.stdout.write(json.dumps(dataclasses.asdict(made)))
            return
        self.stdout.write(f"workspace  {made.workspace_id}\nemail      {made.email}")
        self.stdout.write(f"password   {made.password or '(unchanged)'}\ntoken      {made.token}")

    def _say_where(self, is_new: bool) -> None:
        """On stderr, so that nobody makes a second installation without noticing."""
        where = settings.CREWSHIP.data_dir
        if is_new:
            self.stderr.write(
                f"crewship: a new installation in {where}; for another one set CREWSHIP_DATA_DIR"
            )
        else:
            self.stderr.write(f"crewship: the installation in {where}")
