"""The ``crewship`` command."""

from __future__ import annotations

import typer

from crewship.cli.demo import demo
from crewship.cli.start import start

app = typer.Typer(
    name="crewship",
    help="Crews' devcontainer configs as cached Docker images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(start)
app.command()(demo)


@app.callback()
def _root() -> None:
    """Keeps ``start`` a subcommand also while it is the only one."""


def main() -> None:
    app()
