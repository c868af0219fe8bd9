"""What commands look like in real terminals (tmux) of 80 and 120 columns."""

from __future__ import annotations

import re
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.server import BIN, PATIENCE_S, Cli
from tests.stack.server import wait_until

pytestmark = pytest.mark.cli

WIDTHS = (80, 120)
HEIGHT = 24
ENDED = "it ended with "
# Attributes, the theme's 16 colours as fore- and background, and their defaults.
THEME = {*map(str, (*range(10), *range(22, 30), *range(30, 38), 39, *range(40, 48), 49))}
THEME |= {"", *map(str, range(90, 98))}
WORDS = "done|running|waiting|failed|cancelled|completed|pending|idle"


class Terminal:
    """One tmux server with one terminal, in which a user types."""

    def __init__(self, cli: Cli, width: int, folder: Path) -> None:
        self._socket = f"crewship-{uuid.uuid4().hex[:8]}"
        self._env = {**cli.env, "TERM": "screen-256color", "LANG": "C.UTF-8"}
        self._env.pop("TMUX", None)
        self._width = width
        self._folder = folder

    def type(self, *args: str) -> None:
        command = shlex.join([str(BIN / "crewship"), *args])
        self._tmux(
            *("-f", "/dev/null", "new-session", "-d", "-x", str(self._width), "-y", str(HEIGHT)),
            f"{command}; printf '{ENDED}%s\\n' $?; sleep {PATIENCE_S}",
        )

    def lines(self) -> list[str]:
        """What is on the screen and above it; a line that was wrapped at the edge is one line."""
        return self._capture("-J").rstrip("\n").split("\n")

    def colours(self) -> set[str]:
        """The parameters of every SGR sequence on the screen."""
        codes = re.findall(r"\x1b\[([0-9;:]*)m", self._capture("-e"))
        return {part for code in codes for part in re.split("[;:]", code)}

    def wait_for(self, text: str) -> list[str]:
        lines: list[str] = []

        def is_there() -> bool:
            lines[:] = self.lines()
            return any(text in line for line in lines)

        try:
            wait_until(is_there, PATIENCE_S, f"{text!r} in the terminal", 0.2)
        except AssertionError as error:
            error.add_note("\n".join(lines))
            raise
        return lines

    def close(self) -> None:
        self._tmux("kill-server")

    def _capture(self, how: str) -> str:
        return self._tmux("capture-pane", "-p", how, "-S", "-500")

    def _tmux(self, *args: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._socket, *args],
            env=self._env,
            cwd=self._folder,
            check=True,
            capture_output=True,
            text=True,
        ).stdout


@pytest.fixture(params=WIDTHS)
def terminal(request: pytest.FixtureRequest, cli: Cli, tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(cli, request.param, tmp_path)
    yield made
    made.close()


def assert_fits(lines: list[str], terminal: Terminal) -> None:
    widest = max(lines, key=lambda line: cell_len(line.rstrip()))
    assert cell_len(widest.rstrip()) <= terminal._width, widest


def test_a_build_is_a_checklist_within_the_terminal(cli: Cli, terminal: Terminal) -> None:
    long = uuid.uuid4().hex * 10  # and so no layer of another run
    slug = cli.crew({"note": {"text": long}, "slow": {"count": "6"}}, postCreateCommand="sleep 1")
    terminal.type("crew", "provision", slug)
    running = terminal.wait_for("(2 of 2: slow)")
    assert_fits(running, terminal)
    assert terminal.colours() <= THEME
    steps = [
        line for line in running if re.search(r"validate|pull-base|install-|snapshot|tag", line)
    ]
    assert steps
    for glyph, word, label in (("✓", "done", "validate"), ("●", "running", "install-features")):
        assert [line for line in steps if re.match(rf" *{glyph} {word} +{label} ", line)]
    assert [line for line in steps if re.match(r" *○ waiting +install-mise", line)]
    ended = terminal.wait_for(ENDED)
    assert_fits(ended, terminal)
    assert f"{ENDED}0" in ended
    assert sum("✓ done" in line for line in ended) == 6
    assert [line for line in ended if line.startswith(f"✓ completed  {slug}  crewship-cache:")]
    assert not [line for line in ended if line.startswith("| second")]  # the log made room


def test_a_failed_build_says_where_and_why(cli: Cli, terminal: Terminal) -> None:
    slug = cli.crew({"fail": {}})
    terminal.type("crew", "provision", slug)
    lines = terminal.wait_for(ENDED)
    assert_fits(lines, terminal)
    assert terminal.colours() <= THEME
    assert f"{ENDED}1" in lines
    assert [line for line in lines if re.match(r" *✗ failed +install-features", line)]
    assert [line for line in lines if "the last words" in line]


def test_a_cancelled_build_is_marked(cli: Cli, terminal: Terminal) -> None:
    slug = cli.crew({"slow": {"count": "60"}})
    terminal.type("crew", "provision", slug)
    terminal.wait_for("| second 1")
    cli.run("crew", "cancel", slug)
    lines = terminal.wait_for(ENDED)
    assert_fits(lines, terminal)
    assert [line for line in lines if re.match(r" *⊘ cancelled +install-features", line)]


@pytest.mark.parametrize(
    "command",
    [
        ("--help",),
        ("crew", "--help"),
        ("crew", "provision", "--help"),
        ("crew", "list"),
        ("crew", "show", "nobody-of-this-name-" + "x" * 29),
        ("cache", "ls"),
        ("cache", "rm", "crewship-cache:0123456789ab"),
        ("features", "list"),
        ("features", "base-images"),
        ("runtimes", "list"),
        ("me",),
        ("doctor",),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_every_command_fits_into_its_terminal(command: tuple[str, ...], terminal: Terminal) -> None:
    terminal.type(*command)
    lines = terminal.wait_for(ENDED)
    assert_fits(lines, terminal)
    assert terminal.colours() <= THEME
