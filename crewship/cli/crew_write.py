"""``crewship crew create``, ``config``, ``import``, ``delete`` and ``restart-agents``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from crewship.cli.client import Refused
from crewship.cli.failures import problem_line
from crewship.cli.options import JsonOption, WorkspaceOption
from crewship.cli.session import CrewArgument, connect, find_crew
from crewship.cli.terminal import clean, note, print_json, say
from crewship.cli.texts import read_devcontainer, read_project, read_text
from crewship.domain.errors import ConfigError

Slug = Annotated[
    str, typer.Option("--slug", metavar="SLUG", help="2 to 50 of a-z, 0-9, - and _, for typing.")
]
Name = Annotated[str, typer.Option("--name", help="For reading; the slug when absent.")]
ConfigFile = Annotated[
    str,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A devcontainer.json, or its folder; - is stdin.",
    ),
]
MiseFile = Annotated[
    str, typer.Option("--mise", metavar="FILE", help="A mise.toml, or the same as JSON.")
]
LockFile = Annotated[str, typer.Option("--lock", metavar="FILE", help="A devcontainer-lock.json.")]
Image = Annotated[
    str, typer.Option("--image", metavar="IMAGE", help="Start from this image, not the config's.")
]


class Which(StrEnum):
    DEVCONTAINER = "devcontainer"
    MISE = "mise"
    LOCK = "lock"


def create(
    slug: Slug,
    name: Name = "",
    config: ConfigFile = "",
    mise: MiseFile = "",
    lock: LockFile = "",
    image: Image = "",
    auto: Annotated[
        bool, typer.Option("--auto-provision", help="Build whenever the crew is saved.")
    ] = False,
    workspace: WorkspaceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a crew, from a devcontainer.json if you like.

    All its texts are checked before it is stored; what is legal but has no effect is said.
    """
    body: dict[str, Any] = {"slug": slug, "name": name or slug}
    if config:
        body["devcontainer_config"] = read_devcontainer(config)
    if mise:
        body["mise_config"] = read_text(mise)
    if lock:
        body["lock_config"] = read_text(lock)
    if image:
        body["runtime_image"] = image
    if auto:
        body["auto_provision"] = True
    with connect(workspace) as api:
        made = api.call("POST", "/crews", body)
    _show_saved(made, "created", as_json)


def config(
    crew: CrewArgument,
    which: Annotated[
        Which, typer.Option("--text", help="Which of the crew's texts.")
    ] = Which.DEVCONTAINER,
    new: Annotated[
        str, typer.Option("--set", metavar="FILE", help="Store this file's text; - is stdin.")
    ] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Store no text.")] = False,
    workspace: WorkspaceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Print or change the crew's devcontainer.json.

    It is printed as it is stored, byte for byte. A config of another meaning needs another image.
    """
    if new and clear:
        raise typer.BadParameter("not together with --clear", param_hint="--set")
    field = f"{which}_config"
    text = None
    if new:
        text = read_devcontainer(new) if which is Which.DEVCONTAINER else read_text(new)
    with connect(workspace) as api:
        found = find_crew(api, crew)
        if new or clear:
            _show_saved(api.call("PATCH", f"/crews/{found['id']}", {field: text}), "saved", as_json)
            return
    if as_json:
        print_json({field: found[field]})
    elif found[field] is None:
        note(f"{found['slug']} has no {which} text.")
    else:
        sys.stdout.buffer.write(found[field].encode())
        sys.stdout.buffer.flush()


def import_crew(
    place: Annotated[
        str, typer.Argument(metavar="PLACE", help="A project's folder, or a file that export made.")
    ],
    slug: Slug = "",
    name: Name = "",
    image: Image = "",
    workspace: WorkspaceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a crew of a project's folder or an export.

    Of a folder it takes devcontainer.json, devcontainer-lock.json and mise.toml, byte for byte.
    """
    folder = Path(place)
    if folder.is_dir():
        body = {"slug": folder.resolve().name.lower(), "files": read_project(folder)}
    else:
        body = _read_export(place)
    given = {"slug": slug, "name": name, "runtime_image": image}
    body |= {field: value for field, value in given.items() if value}
    with connect(workspace) as api:
        saved = api.call("POST", "/crews/import", body)
    _show_saved(saved, "imported", as_json)


class VolumesFate(StrEnum):
    KEEP = "keep"
    DELETE = "delete"


# The API's own hint speaks of its query parameter.
VOLUMES_HINT = "Say what becomes of them: `--volumes keep` or `--volumes delete`."


def delete(
    crew: CrewArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    volumes: Annotated[
        VolumesFate | None,
        typer.Option(
            "--volumes", help="Whether its agents' volumes stay; needed if there are any."
        ),
    ] = None,
    workspace: WorkspaceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Delete a crew, with its agents, jobs and logs.

    An active job is cancelled first, agents are stopped; the image stays for others.
    """
    with connect(workspace) as api:
        found = find_crew(api, crew)
        if not yes and not _confirmed(found):
            raise typer.Exit(2)
        said = f"?volumes={volumes.value}" if volumes else ""
        try:
            api.call("DELETE", f"/crews/{found['id']}{said}")
        except Refused as err:
            if err.error_code != "volumes_exist":
                raise
            raise Refused(err.status, {**err.extra, "hint": VOLUMES_HINT}) from err
    if as_json:
        print_json({"deleted": found["id"]})
    else:
        say(("✓ deleted", "green"), f" {found['slug']}")


def restart_agents(
    crew: CrewArgument, workspace: WorkspaceOption = "", as_json: JsonOption = False
) -> None:
    """Stop and start the crew's running agents.

    Every agent that is meant to run is started again, on the crew's current image.
    """
    with connect(workspace) as api:
        found = find_crew(api, crew)
        done = api.call("POST", f"/crews/{found['id']}/restart-agents")
    if as_json:
        print_json(done)
    else:
        count = done["restarted"]
        say(("✓ restarted", "green"), f" {count} agent{'' if count == 1 else 's'}")
        for agent in done.get("failed", ()):
            note(f"crewship: {clean(agent['name'])} was not restarted: {clean(agent['error'])}")
    if done.get("failed"):
        raise typer.Exit(1)


def _show_saved(crew: Mapping[str, Any], done: str, as_json: bool) -> None:  # Any: JSON
    """The crew as it is stored now; what in its texts has no effect is said beside it."""
    if as_json:
        print_json(crew)
        return
    say((f"✓ {done}", "green"), f" {clean(crew['slug'])} ({clean(crew['id'])})")
    show_warnings(crew["warnings"])
    if crew["config_hash"] and not crew["cached_image"]:
        note(f"Build its image with: crewship crew provision {crew['slug']}")


def show_warnings(warnings: Iterable[Mapping[str, Any]]) -> None:  # Any: JSON
    for warning in warnings:
        note(f"! warning  {problem_line(warning)}")


def _confirmed(crew: Mapping[str, Any]) -> bool:  # Any: JSON
    if not sys.stdin.isatty():
        note("crewship: nobody is there to confirm. Use --yes.")
        return False
    try:
        return typer.confirm(f"Delete the crew {clean(crew['slug'])} and its jobs?", err=True)
    except typer.Abort:
        return False


def _read_export(place: str) -> dict[str, Any]:  # Any: JSON
    try:
        document = json.loads(read_text(place))
    except ValueError:
        document = None
    if not isinstance(document, dict) or "files" not in document:
        raise ConfigError(
            f"{place} is not what `crewship crew export` prints.",
            code="not_an_export",
            hint="A devcontainer.json becomes a crew with `crewship crew create --config FILE`.",
        )
    return document
