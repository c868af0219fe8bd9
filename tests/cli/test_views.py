"""How a watch looks: within its terminal, and plain where there is none."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from crewship.cli import views
from crewship.cli.progress import Progress
from crewship.cli.views import LiveView, PlainView, view_for
from tests.cli.test_progress import Told

LONG = "| " + "wide 🚢 " * 40


def running() -> Progress:
    progress, told = Progress(), Told()
    progress.take(told("job.state", state="running"))
    progress.take(told("step.started", 1, message="checking"))
    progress.take(told("step.done", 1))
    progress.take(told("step.started", 3, message="installing " + "x" * 200))
    return progress


def drawn(width: int, height: int, *lines: str) -> list[str]:
    """The picture of a running job on a terminal of that size."""
    terminal, paper = (
        Console(
            file=io.StringIO(),
            force_terminal=True,
            width=width,
            height=height,
            color_system="standard",
            highlight=False,
        )
        for _ in range(2)
    )
    view = LiveView("backend", terminal)
    view.show(running(), lines)
    with paper.capture() as capture:
        paper.print(view.picture())
    view.close()
    return capture.get().rstrip("\n").split("\n")


def plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("height", [12, 24, 50])
def test_a_picture_stays_within_its_terminal(width: int, height: int) -> None:
    picture = drawn(width, height, *[LONG] * 60)
    assert len(picture) < height
    assert max(cell_len(plain(line)) for line in picture) <= width


def test_each_state_has_a_glyph_and_a_word() -> None:
    text = "\n".join(plain(line) for line in drawn(80, 24))
    assert "✓ done      validate" in text
    assert "● running   install-features" in text
    assert "○ waiting   tag" in text
    assert "      installing xxx" in text


def test_a_picture_has_theme_colours_only() -> None:
    codes = set(re.findall(r"\x1b\[([0-9;]*)m", "\n".join(drawn(80, 24, LONG))))
    allowed = {"0", "1", *map(str, range(30, 38)), *map(str, range(90, 98))}
    assert {part for code in codes for part in code.split(";")} <= allowed


def test_markup_in_a_log_is_text() -> None:
    lines = drawn(80, 24, "| [bold red]not markup[/] [link=x]")
    assert plain(lines[-1]) == "| [bold red]not markup[/] [link=x]"


def test_plain_lines_say_each_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    progress, told, view = Progress(), Told(), PlainView()
    for event in (
        told("job.state", state="running"),
        told("step.started", 2, message="fetching"),
        told("step.message", 2, message="pulling debian 1.5 MB of 20 MB"),
        told("step.message", 2, message="pulling debian 15 MB of 20 MB"),
        told("log.system", text="Base image pulled"),
        told("step.done", 2),
        told("job.state", state="failed"),
    ):
        view.show(progress, progress.take(event))
    assert capsys.readouterr().out.splitlines() == [
        "✓ done      [1/6] validate",
        "● running   [2/6] fetching",
        "● running   [2/6] pulling debian 1.5 MB of 20 MB",
        "Base image pulled",
        "✓ done      [2/6] pull-base  4.0 s",
    ]


@pytest.mark.parametrize(
    "environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}], ids=["no-color", "dumb", "pipe"]
)
def test_without_a_lively_terminal_lines_are_plain(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Console(
        file=io.StringIO(), force_terminal=bool(environment), _environ={"TERM": "x", **environment}
    )
    monkeypatch.setattr(views, "console", lambda: terminal)
    assert isinstance(view_for("backend", as_json=False), PlainView)
