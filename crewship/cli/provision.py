"""``crewship crew provision``, ``provision status``, ``rebuild`` and ``cancel``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NoReturn

import typer

from crewship.cli.client import Client, Refused
from crewship.cli.marks import DONE, WAITING, mark_of
from crewship.cli.news import follow
from crewship.cli.options import JsonOption, WorkspaceOption
from crewship.cli.progress import ACTIVE, Progress
from crewship.cli.session import CrewArgument, connect, crew_slugs, find_crew
from crewship.cli.terminal import clean, note, print_json, say, say_on_stderr
from crewship.cli.views import view_for
from provisioning.pipeline.output import clean_text

INTERRUPTED = 130
Json = Mapping[str, Any]  # Any: JSON

WatchOption = Annotated[
    bool,
    typer.Option("--watch/--no-watch", help="Follow the build to its end, or return at once."),
]


def _status_or_slug(incomplete: str) -> list[str]:
    return [word for word in ("status",) if word.startswith(incomplete)] + crew_slugs(incomplete)


CrewOrStatus = Annotated[
    str,
    typer.Argument(metavar="CREW", help="A crew's slug or id.", autocompletion=_status_or_slug),
]


def provision(
    crew: CrewOrStatus,
    watch: WatchOption = True,
    workspace: WorkspaceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Build the crew's image, and watch it being built.

    Where the image is there already, it is linked at once. While a job of the crew is active,
    that one is watched. Ctrl-C ends the watching (exit code 130); the build goes on. Exit code
    1 when the build fails. See also `provision status CREW`.
    """
    with connect(workspace) as api:
        found = find_crew(api, crew)
        try:
            started = api.call("POST", f"/crews/{found['id']}/provision")
        except Refused as error:
            if error.error_code != "job_active" or not watch:
                raise
            note(f"A job of {found['slug']} is {error.extra.get('job_status')}: watching it.")
            started = {}
        _go_on(api, found, started, watch=watch, as_json=as_json)


def rebuild(
    crew: CrewArgument,
    watch: WatchOption = True,
    workspace: WorkspaceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Build the crew's image afresh, from newest upstream.

    Base and features are resolved again. No existing layer is used. Until it is done the crew
    has no image.
    """
    with connect(workspace) as api:
        found = find_crew(api, crew)
        started = api.call("POST", f"/crews/{found['id']}/rebuild")
        _go_on(api, found, started, watch=watch, as_json=as_json)


def status(
    crew: CrewArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Follow a job to its end.")] = False,
    workspace: WorkspaceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show how far the crew's image is.

    Exit code 1 when the latest job failed.
    """
    with connect(workspace) as api:
        found = find_crew(api, crew)
        now = api.call("GET", f"/crews/{found['id']}/provision")
        if watch and now["status"] in ACTIVE:
            _watch(api, found, as_json)
        if as_json:
            print_json(now)
        else:
            _show_status(found, now)
    if now["status"] == "failed":
        raise typer.Exit(1)


def cancel(
    crew: CrewArgument, workspace: WorkspaceOption = "", as_json: JsonOption = False
) -> None:
    """End the crew's active job.

    What it has finished serves the next one.
    """
    with connect(workspace) as api:
        found = find_crew(api, crew)
        done = api.call("POST", f"/crews/{found['id']}/provision/cancel")
    if as_json:
        print_json(done)
    elif done["cancelled"]:
        say(("⊘ cancelled", "yellow"), f" the job of {found['slug']}")
    else:
        say(f"{found['slug']} has no active job.")


def _go_on(api: Client, crew: Json, started: Json, *, watch: bool, as_json: bool) -> None:
    if watch:
        _watch(api, crew, as_json)
    if as_json:
        print_json(started)
    else:
        say(clean(started["message"]))


def _watch(api: Client, crew: Json, as_json: bool) -> NoReturn:
    """The job is followed to its end, which is the exit code."""
    progress = Progress()
    view = view_for(crew["slug"], as_json)
    try:
        try:
            for lines in follow(api, crew["id"], progress, view.waiting):
                view.show(progress, lines)
        finally:
            view.close()
        end: Json = progress.end or {}
        if as_json:
            print_json(_final(api, crew))
        else:
            _show_end(crew, end, progress.was_there)
    except KeyboardInterrupt:
        note(f"The build goes on: crewship crew provision status {crew['slug']} --watch")
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(0 if end.get("state") == "completed" else 1)


def _final(api: Client, crew: Json) -> Json:
    """The crew's status with the job that was watched, which alone tells of a cancel."""
    status_now = api.call("GET", f"/crews/{crew['id']}/provision")
    jobs = api.call("GET", f"/crews/{crew['id']}/jobs?page_size=1")["results"]
    return {**status_now, "job": jobs[0] if jobs else None}


def _show_end(crew: Json, end: Json, was_there: bool) -> None:
    state = str(end.get("state") or end.get("status"))
    mark = mark_of(state)
    image = clean(end.get("cached_image") or "") + "  (was there already)" * was_there
    say((str(mark), mark.style), f"  {crew['slug']}  {image}")
    if state == "failed":
        _show_error(crew, end.get("error") or {})


def _show_error(crew: Json, error: Json) -> None:
    lines = [clean_text(str(error.get("message", ""))), clean_text(str(error.get("hint", "")))]
    lines.append(f"The whole log: crewship crew logs {crew['slug']}")
    say_on_stderr(line for text in lines for line in text.split("\n") if line)


def _show_status(crew: Json, now: Json) -> None:
    mark = mark_of(now["status"])
    say((crew["slug"], "bold"), "  ", mark.text(), f"  {clean(now['cached_image'] or '')}")
    if "step" in now and now["status"] in ACTIVE:
        for number, label in enumerate(now["steps"], start=1):
            mark = DONE if number < now["step"] else WAITING
            mark = mark_of(now["status"]) if number == now["step"] else mark
            say("  ", (f"{mark.glyph} {mark.word:<10}", mark.style), clean(label))
        say(f"  {clean(now['message'])}")
        note(f"Follow it: crewship crew provision status {crew['slug']} --watch")
    pending = now["agents_pending_restart"]
    if pending:
        agents = "1 agent runs" if pending == 1 else f"{pending} agents run"
        say(f"  {agents} an older image: crewship crew restart-agents {crew['slug']}")
    if now.get("error"):
        _show_error(crew, {"message": now["error"]})
    elif now["status"] == "idle" and now["config_hash"]:
        note(f"Build its image: crewship crew provision {crew['slug']}")
