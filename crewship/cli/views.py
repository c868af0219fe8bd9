"""How a watch looks: a live checklist in a terminal, plain lines elsewhere, nothing with --json."""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from crewship.cli.marks import DONE, RUNNING, WAITING
from crewship.cli.progress import Progress, Step
from crewship.cli.terminal import console, note
from crewship.domain.durations import duration

TAIL_LINES: Final = 200  # kept for a terminal of any height
REFRESHES_A_SECOND: Final = 4
AWAY: Final = "waiting for the server…"
BACK: Final = "the server is back"


class View(Protocol):
    def show(self, progress: Progress, lines: Sequence[str]) -> None:
        """The job is as ``progress`` says, and its log has these lines more."""

    def waiting(self, away: bool) -> None:
        """The server went away, or is back."""

    def close(self) -> None: ...


def view_for(slug: str, as_json: bool) -> View:
    if as_json:
        return SilentView()
    terminal = console()
    lively = terminal.is_terminal and not terminal.is_dumb_terminal and not terminal.no_color
    return LiveView(slug, terminal) if lively else PlainView()


class SilentView:
    def show(self, progress: Progress, lines: Sequence[str]) -> None: ...

    def waiting(self, away: bool) -> None:
        note(AWAY if away else BACK)

    def close(self) -> None: ...


class PlainView:
    """A line for each change of a step and each line of the log, as they come."""

    def __init__(self) -> None:
        self._job = ""
        self._marks: dict[str, str] = {}  # by step: the word that was said last
        self._message = ""

    def show(self, progress: Progress, lines: Sequence[str]) -> None:
        if progress.job_id != self._job:
            self._job, self._marks, self._message = progress.job_id, {}, ""
        for line in lines:
            self._print(line)
        for number, step in enumerate(progress.steps, start=1):
            if step.mark is RUNNING:
                self._say_running(f"[{number}/{len(progress.steps)}]", step, progress.message)
            elif step.mark is not WAITING and self._marks.get(step.label) != step.mark.word:
                seconds = step.seconds(progress.now())
                took = "" if seconds is None else f"  {duration(seconds)}"
                place = f"[{number}/{len(progress.steps)}]"
                self._print(f"{step.mark.glyph} {step.mark.word:<10}{place} {step.label}{took}")
            self._marks[step.label] = step.mark.word

    def _say_running(self, place: str, step: Step, message: str) -> None:
        # A pull counts in its message: only other words are worth another line.
        words = re.sub(r"[\d.]+ ?(?:[kMG]?B|%)?", "", f"{step.label} {message}")
        if words == self._message:
            return
        self._message = words
        self._print(f"{RUNNING.glyph} {RUNNING.word:<10}{place} {message or step.label}")

    def _print(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def waiting(self, away: bool) -> None:
        note(AWAY if away else BACK)

    def close(self) -> None: ...


class LiveView:
    """The checklist, redrawn in place, with the log's last lines where there is room."""

    def __init__(self, slug: str, terminal: Console) -> None:
        self._slug = slug
        self._console = terminal
        self._progress = Progress()
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._job = ""
        self._away = self._closed = False
        self._live = Live(
            console=terminal,
            get_renderable=self.picture,
            refresh_per_second=REFRESHES_A_SECOND,
            vertical_overflow="crop",
        )
        self._live.start()

    def show(self, progress: Progress, lines: Sequence[str]) -> None:
        if progress.job_id != self._job:
            self._job = progress.job_id
            self._tail.clear()
        self._progress = progress
        self._tail.extend(lines)

    def waiting(self, away: bool) -> None:
        self._away = away

    def close(self) -> None:
        """The checklist stays as it is; the log's lines go."""
        self._closed = True
        self._live.stop()

    def picture(self) -> Group:
        """At most as wide and as high as the terminal."""
        lines = [self._title(), *self._checklist()]
        if self._away:
            lines.append(Text(f"  {AWAY}", style="yellow"))
        room = self._console.height - len(lines) - 2
        if room > 0 and self._tail and not self._closed:
            lines.append(Text())
            lines += [Text(line, style="bright_black") for line in list(self._tail)[-room:]]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)

    def _title(self) -> Text:
        took = duration(self._seconds()) if self._progress.steps[0].began is not None else ""
        state = {"": "asking the server", "pending": "waiting for a worker"}.get(
            self._progress.state, self._progress.state
        )
        return Text.assemble((self._slug, "bold"), f"  {state}  ", (took, "bright_black"))

    def _seconds(self) -> float:
        steps = [step for step in self._progress.steps if step.began is not None]
        first, last = steps[0].began or 0.0, steps[-1]
        return (self._progress.now() if last.ended is None else last.ended) - first

    def _checklist(self) -> list[Text]:
        lines = []
        for step in self._progress.steps:
            seconds = step.seconds(self._progress.now())
            took = "" if seconds is None else duration(seconds)
            lines.append(
                Text.assemble(
                    (f"  {step.mark.glyph} {step.mark.word:<10}", step.mark.style),
                    (f"{step.label:<17}", "" if step.mark in (RUNNING, DONE) else "bright_black"),
                    (f"{took:>12}", "bright_black"),
                )
            )
            if step.mark is RUNNING and self._progress.message:
                lines.append(Text(f"      {self._progress.message}", style="cyan"))
        return lines
