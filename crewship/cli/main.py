"""The ``crewship`` command: which commands there are, and where they live."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Final

from crewship.cli.lazy import Lazy, lazy_app
from crewship.cli.options import WORKSPACE_VARIABLE, WorkspaceOption

CREW: Final = {
    "list": Lazy(
        "List the crews of the workspace, newest first.", "crewship.cli.crew_read:list_crews"
    ),
    "create": Lazy(
        "Make a crew, from a devcontainer.json if you like.",
        "crewship.cli.crew_write:create",
    ),
    "show": Lazy(
        "Show a crew: its state, its image, what it starts from.", "crewship.cli.crew_read:show"
    ),
    "config": Lazy(
        "Print or change the crew's devcontainer.json.",
        "crewship.cli.crew_write:config",
    ),
    "plan": Lazy(
        "Show what a provision would do, without building.",
        "crewship.cli.crew_read:plan",
    ),
    "provision": Lazy(
        "Build the crew's image, and watch it being built.",
        "crewship.cli.provision:provision",
    ),
    "provision status": Lazy(
        "Show how far the crew's image is.",
        "crewship.cli.provision:status",
    ),
    "cancel": Lazy(
        "End the crew's active job.",
        "crewship.cli.provision:cancel",
    ),
    "rebuild": Lazy(
        "Build the crew's image afresh, from newest upstream.",
        "crewship.cli.provision:rebuild",
    ),
    "restart-agents": Lazy(
        "Stop and start the crew's running agents.",
        "crewship.cli.crew_write:restart_agents",
    ),
    "logs": Lazy(
        "Print the log of the crew's latest job.",
        "crewship.cli.crew_read:logs",
    ),
    "export": Lazy(
        "Print the crew as JSON that `crew import` takes.",
        "crewship.cli.crew_read:export",
    ),
    "import": Lazy(
        "Make a crew of a project's folder or an export.",
        "crewship.cli.crew_write:import_crew",
    ),
    "delete": Lazy(
        "Delete a crew, with its agents, jobs and logs.",
        "crewship.cli.crew_write:delete",
    ),
}
FEATURES: Final = {
    "list": Lazy(
        "List the features that can be installed.",
        "crewship.cli.catalogs:features_list",
    ),
    "base-images": Lazy(
        "List base images that a crew may well start from.",
        "crewship.cli.base_images:base_images_list",
    ),
}
RUNTIMES: Final = {
    "list": Lazy(
        "List the tools that mise can install.",
        "crewship.cli.catalogs:runtimes_list",
    ),
}
CACHE: Final = {
    "ls": Lazy(
        "List the images on the Docker host.",
        "crewship.cli.cache:ls",
    ),
    "rm": Lazy("Delete an image that nobody uses.", "crewship.cli.cache:rm"),
    "gc": Lazy("Remove what no crew uses any more.", "crewship.cli.cache:gc"),
}
COMMANDS: Final = {
    "login": Lazy(
        "Remember a server and your token.",
        "crewship.cli.login:login",
    ),
    "logout": Lazy("Forget the server and the token.", "crewship.cli.login:logout"),
    "me": Lazy("Show who you are to the server, and your workspaces.", "crewship.cli.login:me"),
    "crew": Lazy("Crews: their configs, images and jobs.", table=CREW),
    "features": Lazy("What can be put into a devcontainer.json.", table=FEATURES),
    "runtimes": Lazy("What can be put into a mise config.", table=RUNTIMES),
    "cache": Lazy("The images on the Docker host.", table=CACHE),
    "plan": Lazy(
        "Show what a config would install, without building.",
        "crewship.cli.plan:plan",
    ),
    "prune": Lazy("Remove what is older than it is kept.", "crewship.cli.prune:prune"),
    "doctor": Lazy("Check this machine for what a server needs.", "crewship.cli.doctor:doctor"),
    "start": Lazy("Run the whole product on this machine.", "crewship.cli.start:start"),
    "demo": Lazy(
        "Provision a crew on a server of its own, as a show.",
        "crewship.cli.demo:demo",
    ),
}

app = lazy_app(
    "crewship",
    COMMANDS,
    "Crews' devcontainer configs as cached Docker images.",
    add_completion=True,
)


@app.callback()
def _root(workspace: WorkspaceOption = "") -> None:
    if workspace:  # commands have the option too, and find it there
        os.environ[WORKSPACE_VARIABLE] = workspace


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a glyph that the locale lacks ends no command
            stream.reconfigure(errors="replace")
    app()
