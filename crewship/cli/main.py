"""The ``crewship`` command."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

# A command's module is imported when the command is asked for: `plan` must not wait for what
# `start` and `demo` need (HTTP, Redis).
COMMANDS: Final = {
    "start": "crewship.cli.start",
    "demo": "crewship.cli.demo",
    "plan": "crewship.cli.plan",
}


class LazyGroup(TyperGroup):
    """Finds the command ``name`` as the function ``name`` of its module in COMMANDS."""

    def list_commands(self, ctx: Any) -> list[str]:  # Any: Typer's own copy of Click
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        one = typer.Typer(add_completion=False)
        one.command(cmd_name)(getattr(import_module(COMMANDS[cmd_name]), cmd_name))
        return get_command(one)


app = typer.Typer(
    name="crewship",
    cls=LazyGroup,
    help="Crews' devcontainer configs as cached Docker images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    """Makes this a group of commands, which LazyGroup fills."""


def main() -> None:
    app()
