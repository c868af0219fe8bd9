from __future__ import annotations

import errno
import io

from crewship.cli.supervisor.output import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


class FullDisk(io.StringIO):
    """A file that the lines go to, on a disk without room."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


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


def test_a_full_disk_costs_a_line_and_not_the_stream():
    stream = FullDisk()
    screen = Screen(stream, {})
    screen.line("web", "lost")
    stream.full = False
    screen.line("web", "hello")
    assert stream.getvalue() == "web       | hello\n"
