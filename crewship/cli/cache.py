"""``crewship cache ls``, ``rm`` and ``gc``: the images on the Docker host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from crewship.cli.client import Client, Refused
from crewship.cli.options import JsonOption, WorkspaceOption
from crewship.cli.session import connect, with_hint
from crewship.cli.terminal import age, clean, print_json, print_table, say, size

PREFIX: Final = "crewship-cache:"
_HASH = re.compile(r"[0-9a-f]{12}")


def cached_tags(incomplete: str) -> list[str]:
    """For the shell's completion; nothing where the server can't be asked."""
    try:
        with connect("") as api:
            images = api.call("GET", "/cache/images")["images"]
    except Exception:  # noqa: BLE001  # a shell that completes must see no error
        return []
    short = [image["tag"].removeprefix(PREFIX) for image in images]
    return [tag for tag in short if tag.startswith(incomplete)]


def ls(workspace: WorkspaceOption = "", as_json: JsonOption = False) -> None:
    """List the images on the Docker host."""
    with connect(workspace) as api:
        found = api.call("GET", "/cache/images")
        slugs = _slugs(api) if found["images"] and not as_json else {}
    if as_json:
        print_json(found)
        return
    images = found["images"]
    if not images:
        say("No images yet: `crewship crew provision` makes one.")
        return
    now = datetime.now(UTC)
    print_table(
        ("Image", "Size", "Made", "Used by"),
        [
            (
                image["tag"],
                size(image["size_bytes"]),
                age(now - datetime.fromisoformat(image["created_at"])),
                _users(image["referenced_by_crew_ids"], slugs) or "-",
            )
            for image in images
        ],
    )
    total = size(sum(image["size_bytes"] for image in images))
    count = f"{len(images)} image{'' if len(images) == 1 else 's'}"
    say(f"{count}, {total} (shared layers count in each)")


def rm(
    tag: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE",
            help="crewship-cache:… or the 12 digits alone.",
            autocompletion=cached_tags,
        ),
    ],
    workspace: WorkspaceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Delete an image that nobody uses.

    Refused while a crew or a running agent uses it.
    """
    if _HASH.fullmatch(tag):
        tag = f"{PREFIX}{tag}"
    with connect(workspace) as api:
        try:
            api.call("DELETE", f"/cache/images/{quote(tag, safe=':')}")
        except Refused as error:
            if error.status != 409 or "crew_ids" not in error.extra:
                raise
            raise _still_used(api, error) from error
    if as_json:
        print_json({"deleted": tag})
    else:
        say(("✓ deleted", "green"), f" {clean(tag)}")


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be removed.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Also when it is more than half of all.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what no crew uses any more.

    Images and layers that are old enough, and where ours hold more of the disk than their budget
    (CREWSHIP_CACHE_HIGH_WATER) what was used least lately. Runs on the server's machine, with its
    data directory and Docker engine, as `manage.py gc` does; it asks no server and needs no login.
    """
    # Django and Docker: only here does a command of this module need them.
    from crewship.cli.host import swept

    report = swept(remove=not dry_run, more_than_half=yes)
    if as_json:
        print_json(report)
        return
    for item in report["items"]:
        say(f"{item['kind']:6} {size(item['freed_bytes']):>9}  {item['tag']}")
    for tag in report["kept_in_use"]:
        say(f"kept, a container uses it: {tag}")
    done = "removed" if report["removed"] else "could be removed"
    say(f"{len(report['items'])} {done}, {size(report['freed_bytes'])}")
    say(f"{size(report['used_bytes'])} of ours before, {_budget(report)}")


def _budget(report: Mapping[str, Any]) -> str:
    if report["high_bytes"] is None:
        return "without a budget: the engine's disk is not seen here (CREWSHIP_ENGINE_DISK)"
    return f"the budget is {size(report['high_bytes'])}"


def _still_used(api: Client, error: Refused) -> Refused:
    """The same refusal, with the slugs of the crews instead of their ids."""
    users = _users(error.extra["crew_ids"], _slugs(api))
    if not users:
        return with_hint(error, "A crew of another workspace uses it.")
    return with_hint(
        error, f"Used by {users}: change its config or delete it, and stop its agents."
    )


def _slugs(api: Client) -> Mapping[str, str]:
    return {crew["id"]: crew["slug"] for crew in api.all("/crews?page_size=200")}


def _users(crew_ids: list[Any], slugs: Mapping[str, str]) -> str:
    """An id stands for a crew that was made or deleted in between."""
    return ", ".join(sorted(slugs.get(crew_id, crew_id) for crew_id in crew_ids))
