"""A plan for people: tables in a terminal, plain text in a pipe or with NO_COLOR."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crewship.devcontainer.types import LayerPlan, PlannedFeature
from crewship.domain.errors import Problem

if TYPE_CHECKING:
    from crewship.cli.plan import Planned

PIPED_WIDTH: Final = 160  # columns; a pipe has no edge to wrap at
_STATES: Final = {
    True: ("present", "green"),
    False: ("missing", "yellow"),
    None: ("unknown", "bright_black"),
}


def show_plan(planned: Planned) -> None:
    """The plan is on stdout: features in install order, layers, warnings."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPED_WIDTH)
    made = planned.plan
    console.print(Text.assemble(("Base    ", "bold"), str(made.spec.base)))
    console.print(Text.assemble(("Config  ", "bold"), made.config_hash))
    _show(console, "Features, in the order they are installed", _features(made.features))
    _show(console, "Layers", _layers(planned))
    for note in planned.notes:
        console.print(Text(f"  {note}", style="bright_black"))
    if made.warnings:
        console.print(Text("\nWarnings", style="bold"))
        console.print(_warnings(made.warnings))


def _show(console: Console, title: str, table: Table) -> None:
    console.print(Text(f"\n{title}", style="bold"))
    if table.row_count:
        console.print(table)
    else:
        console.print("  none")


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1))


def _features(features: tuple[PlannedFeature, ...]) -> Table:
    table = _table()
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("Feature", overflow="fold")
    table.add_column("Options", overflow="fold")
    for number, feature in enumerate(features, start=1):
        table.add_row(str(number), Text(feature.request.written_ref), _options(feature))
    return table


def _options(feature: PlannedFeature) -> Text:
    """As JSON, so that no control character of a value reaches the terminal."""
    given = feature.request.options
    lines = [f"{_name(name)}={json.dumps(value)}" for name, value in given.items()]
    return Text("\n".join(lines)) if lines else Text("defaults", style="bright_black")


def _name(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _layers(planned: Planned) -> Table:
    table = _table()
    table.add_column("State", no_wrap=True)
    table.add_column("Layer", overflow="fold", ratio=1)
    table.add_column("Key", no_wrap=True)
    for layer in planned.plan.layers:
        word, style = _STATES[_present(planned, layer)]
        table.add_row(Text(word, style=style), Text(layer.label), (layer.key or "-")[:12])
    return table


def _present(planned: Planned, layer: LayerPlan) -> bool | None:
    return planned.present.get(layer.key) if layer.key else None


def _warnings(warnings: tuple[Problem, ...]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="yellow")
    table.add_column(overflow="fold")
    for warning in warnings:
        text = Text.assemble(str(warning), (f" [{warning.code}]", "bright_black"))
        table.add_row("  !", text)
    return table
