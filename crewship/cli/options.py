"""Options that most commands have."""

from __future__ import annotations

from typing import Annotated, Final

import typer

JSON_KEY: Final = "crewship.json"  # in the context's meta
WORKSPACE_VARIABLE: Final = "CREWSHIP_WORKSPACE"


def _note_json(ctx: typer.Context, value: bool) -> bool:
    """An error is answered as the command's result would have been."""
    ctx.meta[JSON_KEY] = value
    return value


JsonOption = Annotated[
    bool,
    typer.Option("--json", callback=_note_json, help="Print JSON and nothing else."),
]
WorkspaceOption = Annotated[
    str,
    typer.Option(
        "--workspace",
        "-w",
        envvar=WORKSPACE_VARIABLE,
        metavar="SLUG",
        help="The workspace, where you are in several.",
    ),
]
