from __future__ import annotations

import io
from pathlib import Path

import pytest

from crewship.cli.supervisor.output import LONGEST_LINE, ChildLog, Screen, rotate


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


def log(tmp_path: Path, screen: io.StringIO, *, quiet: bool = False) -> ChildLog:
    return ChildLog("web", tmp_path, Screen(screen, {}), quiet=quiet)


def test_a_terminal_gets_a_coloured_name():
    stream = Terminal()
    Screen(stream, {}).line("web", "hello")
    assert stream.getvalue() == "\x1b[36mweb       |\x1b[0m hello\n"


def test_no_color_is_heeded():
    stream = Terminal()
    Screen(stream, {"NO_COLOR": "1"}).line("web", "hello")
    assert stream.getvalue() == "web       | hello\n"


def test_a_reader_that_went_away_is_no_error():
    screen = Screen(ClosedPipe(), {})
    screen.line("web", "hello")
    screen.line("web", "still no error")


def test_a_line_in_pieces_is_shown_once(tmp_path, screen):
    made = log(tmp_path, screen)
    made.feed(b"hel")
    made.feed(b"lo\n")
    made.close()
    assert screen.getvalue() == "web       | hello\n"


def test_a_last_line_without_its_end_is_shown_at_the_close(tmp_path, screen):
    made = log(tmp_path, screen)
    made.feed(b"hello")
    made.close()
    assert screen.getvalue() == "web       | hello\n"


def test_an_endless_line_is_shown_in_pieces(tmp_path, screen):
    made = log(tmp_path, screen)
    made.feed(b"x" * (LONGEST_LINE + 1))
    assert screen.getvalue().endswith("x\n")
    made.close()


def test_a_quiet_child_writes_to_its_file_only(tmp_path, screen):
    made = log(tmp_path, screen, quiet=True)
    made.feed(b"hello\n")
    made.close()
    assert (screen.getvalue(), made.path.read_text()) == ("", "hello\n")


def test_a_long_file_is_put_aside(tmp_path):
    path = tmp_path / "web.log"
    path.write_bytes(b"x" * 10)
    rotate(path, at=10)
    assert [file.name for file in tmp_path.iterdir()] == ["web.log.1"]


def test_a_short_file_is_kept(tmp_path):
    path = tmp_path / "web.log"
    path.write_bytes(b"x" * 9)
    rotate(path, at=10)
    assert [file.name for file in tmp_path.iterdir()] == ["web.log"]
