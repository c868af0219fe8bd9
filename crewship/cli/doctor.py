"""``crewship doctor``: whether the server's machine has what the product needs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import typer

from crewship.cli.host import host_options
from crewship.cli.marks import BROKEN, OK, WARNING
from crewship.cli.options import JsonOption
from crewship.cli.terminal import clean, print_json, say, say_below

if TYPE_CHECKING:
    from crewship.cli.finding import Finding


def doctor(as_json: JsonOption = False) -> None:
    """Check this machine for what a server needs.

    Engine, Redis, disk, clocks, registries, mise, permissions; and whether the server's processes
    are at work: web, hosts' watchers, workers, scheduler, queue. Runs on the server's machine, with
    its settings and data directory; it changes nothing. Exit code 1 when something is broken,
    0 with warnings.
    """
    found = _look()
    broken = sum(finding.mark is BROKEN for finding in found)
    if as_json:
        print_json({"ok": not broken, "checks": [_as_json(finding) for finding in found]})
    else:
        width = max(len(finding.name) for finding in found)
        for finding in found:
            _show(finding, width)
        warnings = sum(finding.mark is WARNING for finding in found)
        say(_verdict(broken, warnings))
    if broken:
        raise typer.Exit(1)


def _look() -> list[Finding]:
    key = os.environ.get("CREWSHIP_SECRET_KEY", "").strip()  # as the operator has it
    options = host_options()
    from crewship.cli.checkup import findings  # what it imports needs Django ready

    return findings(options, key)


def _show(finding: Finding, width: int) -> None:
    from rich.text import Text

    mark = f"{finding.mark.glyph} {finding.mark.word:<8}"
    say((mark, finding.mark.style), f"{finding.name:<{width}}  {clean(finding.text)}")
    if finding.hint:
        say_below(Text(clean(finding.hint), style="bright_black"), len(mark) + 2)


def _as_json(finding: Finding) -> dict[str, Any]:  # Any: JSON
    out = {"name": finding.name, "result": finding.mark.word, "text": finding.text}
    return {**out, "hint": finding.hint} if finding.hint else out


def _verdict(broken: int, warnings: int) -> str:
    if not broken and not warnings:
        return f"{OK.glyph} All is well."
    parts = [f"{broken} broken"] * bool(broken)
    parts += [f"{warnings} warning{'' if warnings == 1 else 's'}"] * bool(warnings)
    return ", ".join(parts)
