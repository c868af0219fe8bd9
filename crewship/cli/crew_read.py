"""``crewship crew list``, ``show``, ``plan``, ``logs`` and ``export``: what there is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from crewship.cli.client import Client
from crewship.cli.marks import mark_of
from crewship.cli.options import JsonOption, WorkspaceOption
from crewship.cli.plan_table import show_plan
from crewship.cli.progress import shown_line
from crewship.cli.session import CrewArgument, connect, find_crew
from crewship.cli.terminal import clean, note, print_json, print_table, say
from crewship.cli.texts import write_project
from crewship.domain.errors import NotFound
from provisioning.pipeline.output import plain


def list_crews(workspace: WorkspaceOption = "", as_json: JsonOption = False) -> None:
    """List the crews of the workspace, newest first."""
    with connect(workspace) as api:
        crews = api.all("/crews")
    if as_json:
        print_json({"results": crews})
        return
    if not crews:
        say("No crews yet: `crewship crew create` makes one.")
        return
    print_table(
        ("Crew", "Status", "Name", "Image"),
        [
            (
                crew["slug"],
                mark_of(crew["provision_status"]).text(),
                crew["name"],
                crew["cached_image"] or "-",
            )
            for crew in crews
        ],
    )


def show(crew: CrewArgument, workspace: WorkspaceOption = "", as_json: JsonOption = False) -> None:
    """Show a crew: its state, its image, what it starts from."""
    with connect(workspace) as api:
        found = find_crew(api, crew)
        status = api.call("GET", f"/crews/{found['id']}/provision")
    if as_json:
        print_json({**found, "agents_pending_restart": status["agents_pending_restart"]})
        return
    rows: list[tuple[str, str | Text]] = [
        ("Slug", found["slug"]),
        ("Name", found["name"]),
        ("Id", found["id"]),
        ("Status", mark_of(found["provision_status"]).text()),
        ("Image", found["cached_image"] or "-"),
        ("Hash", found["config_hash"] or "-"),
        ("Base", found["runtime_image"] or "as the config says"),
        ("Texts", _texts(found)),
        ("Restart", _restart(found, status["agents_pending_restart"])),
        ("Builds", "by itself when saved" if found["auto_provision"] else "when asked"),
        ("Changed", found["updated_at"]),
    ]
    for label, value in rows:
        text = value if isinstance(value, Text) else Text(clean(value))
        say((f"{label:<9}", "bold"), text)


def plan(crew: CrewArgument, workspace: WorkspaceOption = "", as_json: JsonOption = False) -> None:
    """Show what a provision would do, without building.

    Exit code 1 when its config can't be planned.
    """
    with connect(workspace) as api:
        found = find_crew(api, crew)
        document = api.call("POST", f"/crews/{found['id']}/plan", {})
    if as_json:
        print_json(document)
    elif document.get("error"):
        error = document["error"]
        note(f"crewship: {error['message']} [{error['code']}]")
    else:
        show_plan(document, document.get("notes", ()))
    if document.get("error"):
        raise typer.Exit(1)


def logs(
    crew: CrewArgument,
    job: Annotated[str, typer.Option(metavar="JOB", help="A job's id; else the latest.")] = "",
    workspace: WorkspaceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Print the log of the crew's latest job.

    The whole of it; lines that scripts printed begin with "| ".
    """
    with connect(workspace) as api:
        job = job or latest_job(api, find_crew(api, crew))["id"]
        lines = api.text(f"/jobs/{job}/log").split("\n")[:-1]
    if as_json:
        print_json({"job_id": job, "lines": [plain(line) for line in lines]})
        return
    for line in lines:
        sys.stdout.write(shown_line(line) + "\n")


def latest_job(api: Client, crew: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    """Raises NotFound for a crew that never had one."""
    jobs = api.call("GET", f"/crews/{crew['id']}/jobs?page_size=1")["results"]
    if not jobs:
        raise NotFound(
            f"{crew['slug']} was never provisioned.",
            code="job_not_found",
            hint=f"Start with `crewship crew provision {crew['slug']}`.",
        )
    return dict(jobs[0])


def export(
    crew: CrewArgument,
    to: Annotated[
        str, typer.Option("--to", metavar="FOLDER", help="Write its files there instead.")
    ] = "",
    workspace: WorkspaceOption = "",
) -> None:
    """Print the crew as JSON that `crew import` takes.

    With what its features resolved to, as a devcontainer-lock.json, where that is known.
    """
    with connect(workspace) as api:
        document = api.call("GET", f"/crews/{find_crew(api, crew)['id']}/export")
    if not to:
        print_json(document)
        return
    for path in write_project(Path(to), document["files"]):
        say(("✓ written", "green"), f" {path}")


def _texts(crew: Mapping[str, Any]) -> str:
    names = ("devcontainer_config", "mise_config", "lock_config")
    return ", ".join(name for name in names if crew[name] is not None) or "none"


def _restart(crew: Mapping[str, Any], pending: int) -> str:
    if not pending:
        return "no agent needs it"
    agents = "1 agent runs" if pending == 1 else f"{pending} agents run"
    return f"{agents} an older image: `crewship crew restart-agents {crew['slug']}`"
