"""What the commands print: tables for people, JSON for programs, errors in a line or two.

Only the terminal's own colours are used (the 16 of its theme), and whatever a server sent is
cleaned of control characters first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from provisioning.pipeline.output import clean_text

if TYPE_CHECKING:  # rich takes a tenth of a second, and --json never needs it
    from rich.console import Console
    from rich.text import Text

PIPED_WIDTH: Final = 10_000  # columns; a pipe has no edge to wrap at


def print_json(document: object) -> None:
    """ASCII, so that no terminal's encoding matters."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


@cache
def console() -> Console:
    """Where results for people go. A pipe's lines are never wrapped."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PIPED_WIDTH)


def clean(value: object) -> str:
    """One line of text that somebody else wrote, safe to print."""
    return " ".join(clean_text(str(value)).split("\n"))


def say(*parts: str | tuple[str, str] | Text) -> None:
    """One line on stdout; a part is text, or (text, style)."""
    from rich.text import Text

    console().print(Text.assemble(*parts), soft_wrap=not console().is_terminal)


def note(text: str) -> None:
    """One line on stderr, beside the result."""
    say_on_stderr([clean(text)])


def say_on_stderr(lines: Iterable[str]) -> None:
    """Clean lines on stderr; a terminal's are wrapped between words."""
    if sys.stderr.isatty():
        width = get_terminal_size().columns
        lines = [part for line in lines for part in _wrapped(line, width)]
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()


def _wrapped(line: str, width: int) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()))
    return wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Columns under their headers; where they don't fit, a block of lines a row. The first cell,
    which names the row, is never broken: people copy it."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    cells = [[c if isinstance(c, Text) else Text(clean(c)) for c in row] for row in rows]
    widths = [
        max(cell_len(text) for text in (header, *(row[n].plain for row in cells)))
        for n, header in enumerate(headers)
    ]
    if sum(widths) + 2 * len(widths) > console().width:
        _print_blocks(cells)
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, no_wrap=True)
    for row in cells:
        table.add_row(*row)
    console().print(table)


def _print_blocks(rows: Iterable[Sequence[Text]]) -> None:
    from rich.text import Text

    for first, *others in rows:
        first.stylize("bold")
        console().print(first, soft_wrap=True)
        say_below(Text(" · ").join(cell for cell in others if cell.plain), 4)


def say_below(text: Text, indent: int) -> None:
    """Text under a line that it explains, wrapped behind the indent."""
    for line in text.wrap(console(), console().width - indent):
        line.rstrip()
        line.pad_left(indent)
        console().print(line, soft_wrap=True)


def size(count: int) -> str:
    """``824 MB``: as docker counts, in steps of a thousand."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if value >= 9.95 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def age(since: timedelta) -> str:
    """``just now``, ``5 min ago``, ``3 h ago``, ``12 days ago``."""
    minutes = int(since.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 48 * 60:
        return f"{minutes // 60} h ago"
    return f"{minutes // 1440} days ago"
