"""Groups of commands whose modules are imported when a command is run, not when it is listed.

``plan`` must not wait for what ``start`` and ``demo`` need (HTTP, Redis), ``--help`` for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from crewship.cli.failures import REFUSED, show_failure
from crewship.cli.options import JSON_KEY
from crewship.domain.errors import CrewshipError

HELP_OPTIONS: Final = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command: the function ``place`` (``module:name``), or a group of what is in ``table``."""

    help: str  # the first line of the function's docstring, which a test compares
    place: str = ""
    table: Mapping[str, Lazy] | None = None
    hidden: bool = False

    def load(self, name: str) -> Any:  # Any: Typer's own copy of Click
        if self.table is not None:
            return get_command(lazy_app(name, self.table, self.help))
        module, _, function = self.place.partition(":")
        app = typer.Typer(
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
            context_settings=HELP_OPTIONS,
        )
        app.command(name)(getattr(import_module(module), function))
        return get_command(app)


class LazyGroup(TyperGroup):
    """Lists stubs, runs the real commands. A name of two words (``provision status``) wins over a
    command with its first word."""

    table: ClassVar[Mapping[str, Lazy]] = {}

    def __init__(self, **given: Any) -> None:
        stubs = {
            name: TyperCommand(name, help=lazy.help, hidden=lazy.hidden)
            for name, lazy in self.table.items()
        }
        super().__init__(**{**given, "commands": stubs})

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; an error of ours is told to the user, and is exit code 2."""
        try:
            return super().invoke(ctx)
        except CrewshipError as error:
            show_failure(error, as_json=ctx.meta.get(JSON_KEY, False))
            raise typer.Exit(REFUSED) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, stub, rest = super().resolve_command(ctx, self._joined(args))
        return name, self.table[name].load(name) if name and stub else None, rest

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """One word at a time: the second word of a name is its first word's argument."""
        found = super().shell_complete(ctx, incomplete)
        return [item for item in found if " " not in item.value]

    def _joined(self, args: list[str]) -> list[str]:
        """``provision --watch status x`` as ``"provision status" --watch x``."""
        for place, word in enumerate(args[1:], start=1):
            if not word.startswith("-"):
                both = f"{args[0]} {word}"
                return [both, *args[1:place], *args[place + 1 :]] if both in self.table else args
        return args


def lazy_app(
    name: str, commands: Mapping[str, Lazy], about: str, *, add_completion: bool = False
) -> typer.Typer:
    """A Typer of these commands; give it a callback for options of its own."""

    class Group(LazyGroup):
        table = commands

    app = typer.Typer(
        name=name,
        cls=Group,
        help=about,
        no_args_is_help=True,
        add_completion=add_completion,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help and errors: short, quick, and never wider than asked
        context_settings=HELP_OPTIONS,
    )

    @app.callback()
    def _group() -> None:
        """Makes this a group of commands, which its class fills."""

    return app
