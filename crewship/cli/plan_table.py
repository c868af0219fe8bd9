"""A plan for people: tables in a terminal, plain text in a pipe or with NO_COLOR.

It shows the document of ``crewship plan --json`` and of ``POST /crews/{id}/plan``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crewship.cli.failures import problem_line
from crewship.cli.terminal import clean

PIPED_WIDTH: Final = 160  # columns; a pipe has no edge to wrap at
_STATES: Final = {
    True: ("✓ present", "green"),
    False: ("○ missing", "yellow"),
    None: ("? unknown", "bright_black"),
}

Json = Mapping[str, Any]  # Any: JSON


def show_plan(document: Json, notes: Sequence[str] = ()) -> None:
    """The plan is on stdout: features in install order, layers, warnings."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPED_WIDTH)
    console.print(Text.assemble(("Base    ", "bold"), clean(document["base"])))
    console.print(Text.assemble(("Config  ", "bold"), clean(document["config_hash"])))
    features = _features(document["features"])
    _show(console, "Features, in the order they are installed", features)
    _show(console, "Layers", _layers(document["layers"]))
    for note in notes:
        console.print(Text(f"  {note}", style="bright_black"))
    if document["warnings"]:
        console.print(Text("\nWarnings", style="bold"))
        console.print(_warnings(document["warnings"]))


def _show(console: Console, title: str, table: Table) -> None:
    console.print(Text(f"\n{title}", style="bold"))
    if table.row_count:
        console.print(table)
    else:
        console.print("  none")


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1))


def _features(features: Sequence[Json]) -> Table:
    table = _table()
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("Feature", overflow="fold")
    table.add_column("Options", overflow="fold")
    for number, feature in enumerate(features, start=1):
        table.add_row(str(number), Text(clean(feature["ref"])), _options(feature["options"]))
    return table


def _options(written: object) -> Text:
    """As JSON, so that no control character of a value reaches the terminal."""
    given = {"version": written} if isinstance(written, str) else written
    if not isinstance(given, Mapping) or not given:
        return Text("defaults", style="bright_black")
    return Text("\n".join(f"{_name(name)}={json.dumps(value)}" for name, value in given.items()))


def _name(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _layers(layers: Sequence[Json]) -> Table:
    table = _table()
    table.add_column("State", no_wrap=True)
    table.add_column("Layer", overflow="fold", ratio=1)
    table.add_column("Key", no_wrap=True)
    for layer in layers:
        word, style = _STATES[layer["present"]]
        key = clean(layer["key"] or "-")[:12]
        table.add_row(Text(word, style=style), Text(clean(layer["label"])), key)
    return table


def _warnings(warnings: Sequence[Json]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="yellow")
    table.add_column(overflow="fold")
    for warning in warnings:
        code = clean(warning["code"])
        text = Text.assemble(problem_line(warning), (f" [{code}]", "bright_black"))
        table.add_row("  !", text)
    return table
