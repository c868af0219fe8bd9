"""What every client command begins with: the server, the workspace, and the crew by its slug."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from crewship.cli.account import read_account
from crewship.cli.client import Client, Refused
from crewship.cli.options import WORKSPACE_VARIABLE
from crewship.domain.errors import NotFound

SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{1,49}")


def crew_slugs(incomplete: str) -> list[str]:
    """For the shell's completion: the slugs that begin so; none where the server can't be asked."""
    try:
        with connect(os.environ.get(WORKSPACE_VARIABLE, "")) as api:
            crews = api.call("GET", "/crews?page_size=200")["results"]
    except Exception:  # noqa: BLE001  # a shell that completes must see no error
        return []
    return [crew["slug"] for crew in crews if crew["slug"].startswith(incomplete)]


CrewArgument = Annotated[
    str,
    typer.Argument(metavar="CREW", help="A crew's slug or id.", autocompletion=crew_slugs),
]


@contextmanager
def connect(workspace: str) -> Iterator[Client]:
    """A client of the server that one is logged in to. Raises ConfigError before ``login``.

    A workspace that must be named is answered with those that there are.
    """
    with Client(read_account(os.environ), workspace=workspace) as api:
        try:
            yield api
        except Refused as error:
            if error.error_code == "workspace_required":
                raise _which_workspace(api, error) from error
            if error.status == 401:  # its own hint speaks to people who write headers
                raise with_hint(error, "Run `crewship login`.") from error
            raise


def find_crew(api: Client, name: str) -> dict[str, Any]:  # Any: JSON
    """The crew of the workspace with this slug or id. Raises NotFound naming similar slugs."""
    if SLUG.fullmatch(name):
        found = api.call("GET", f"/crews?slug={name}")["results"]
        if found:
            return dict(found[0])
    if name.startswith("crw_"):
        return dict(api.call("GET", f"/crews/{quote(name, safe='')}"))
    slugs = [crew["slug"] for crew in api.all("/crews")]
    similar = get_close_matches(name, slugs, n=3)
    hint = f"Did you mean {' or '.join(similar)}?" if similar else "`crewship crew list` shows all."
    raise NotFound(f"There is no crew {name!r} here.", code="crew_not_found", hint=hint)


def _which_workspace(api: Client, error: Refused) -> Refused:
    mine = [f"{w['slug']} ({w['role']})" for w in api.call("GET", "/me")["workspaces"]]
    if not mine:
        return with_hint(error, "You are in no workspace: ask an owner to add you.")
    text = f"Add --workspace SLUG or set {WORKSPACE_VARIABLE}. Yours: {', '.join(mine)}."
    return with_hint(error, text)


def with_hint(error: Refused, hint: str) -> Refused:
    return Refused(error.status, {**error.extra, "hint": hint})
