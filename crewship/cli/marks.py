"""A glyph and a word for each state, so that neither colour nor font has to carry it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True, slots=True)
class Mark:
    glyph: str
    word: str
    style: str  # a colour of the terminal's own theme

    def __str__(self) -> str:
        return f"{self.glyph} {self.word}"

    def text(self) -> Text:
        from rich.text import Text

        return Text(str(self), style=self.style)


DONE: Final = Mark("✓", "done", "green")
RUNNING: Final = Mark("●", "running", "cyan")
WAITING: Final = Mark("○", "waiting", "bright_black")
FAILED: Final = Mark("✗", "failed", "red")
CANCELLED: Final = Mark("⊘", "cancelled", "yellow")

OK: Final = Mark("✓", "ok", "green")
WARNING: Final = Mark("!", "warning", "yellow")
BROKEN: Final = Mark("✗", "broken", "red")

_STATES: Final = {
    "completed": Mark("✓", "completed", "green"),
    "running": RUNNING,
    "pending": Mark("○", "pending", "yellow"),
    "failed": FAILED,
    "cancelled": CANCELLED,
    "idle": Mark("–", "idle", "bright_black"),
}


def mark_of(state: str) -> Mark:
    """For the status of a crew or the state of a job; a newer server may have others."""
    return _STATES.get(state, Mark("?", state, "bright_black"))
