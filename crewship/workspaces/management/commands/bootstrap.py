"""``manage.py bootstrap``: the first workspace, its owner and a token, before or while it runs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

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
        call_command("migrate", interactive=False, verbosity=0)
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
