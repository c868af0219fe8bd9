"""``crewship prune``: old logs, jobs and other rows go, on the server's machine."""

from __future__ import annotations

from typing import Annotated

import typer

from crewship.cli.options import JsonOption
from crewship.cli.terminal import note, print_json, say


def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be removed.")
    ] = False,
    vacuum: Annotated[
        bool,
        typer.Option(
            "--vacuum",
            help="Also rewrite a SQLite file: once, for one that an older version made.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what is older than it is kept.

    Logs of old jobs (the last of each crew stay), old jobs, audit events, sessions, tokens and
    invitations that are over. The server does the same once a day by itself. Runs on the server's
    machine, with its data directory, as `manage.py prune` does; it needs no login. With --vacuum
    whatever the server writes waits until the file is rewritten.
    """
    # Django: only here does a command of this module need it.
    from crewship.cli.host import pruned

    if vacuum and not dry_run and not as_json:
        note("Rewriting the database's file; until it is done, whoever writes to it waits.")
    report = pruned(remove=not dry_run, vacuum=vacuum)
    if as_json:
        print_json(report.as_json())
        return
    for line in report.lines():
        say(line)
