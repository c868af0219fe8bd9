"""``crewship features list`` and ``crewship runtimes list``: the server's catalogs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

import typer

from crewship.cli.options import JsonOption, WorkspaceOption
from crewship.cli.session import connect
from crewship.cli.terminal import clean, print_json, print_table, say

SearchOption = Annotated[
    str, typer.Option(help="Only what has this in its name, description or category.")
]


def features_list(
    search: SearchOption = "", workspace: WorkspaceOption = "", as_json: JsonOption = False
) -> None:
    """List the features that can be installed."""
    with connect(workspace) as api:
        found = api.call("GET", f"/features/catalog?{urlencode({'search': search})}")
    if as_json:
        print_json(found)
        return
    rows = [
        (entry["ref"], entry["name"], entry["category"], entry["size_hint"], entry["description"])
        for entry in found["features"]
    ]
    _print_found(("Feature", "Name", "Category", "Size", "Description"), rows, search)


def runtimes_list(
    search: SearchOption = "", workspace: WorkspaceOption = "", as_json: JsonOption = False
) -> None:
    """List the tools that mise can install."""
    with connect(workspace) as api:
        found = api.call("GET", f"/runtimes/catalog?{urlencode({'search': search})}")
    if as_json:
        print_json(found)
        return
    rows = [
        (
            entry["tool"],
            entry["name"],
            entry["category"],
            f"default {entry['default_version'] or 'latest'}",
            entry["description"],
        )
        for entry in found["runtimes"]
    ]
    _print_found(("Tool", "Name", "Category", "Version", "Description"), rows, search)


def _print_found(headers: Sequence[str], rows: Sequence[Sequence[str]], search: str) -> None:
    if rows:
        print_table(headers, rows)
    else:
        say(f"Nothing matches {clean(search)!r}.")
