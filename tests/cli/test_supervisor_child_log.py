from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from crewship.cli.supervisor.child_log import LONGEST_LINE, RETRY_S, TAIL_LINES, ChildLog
from crewship.cli.supervisor.output import Screen
from tests.stack.small_disk import SmallDisk, small_disk

PAGE = 4096


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "256k") as made:
        yield made


@pytest.fixture
def log(screen: io.StringIO, clock: Clock) -> Iterator[Callable[..., ChildLog]]:
    with ExitStack() as stack:

        def made(folder: Path, *, quiet: bool = False) -> ChildLog:
            log = ChildLog("web", folder, Screen(screen, {}), quiet=quiet, clock=clock)
            stack.callback(log.close)
            return log

        yield made


def room_again(disk: SmallDisk, made: ChildLog, clock: Clock) -> None:
    disk.free()
    clock.now += RETRY_S
    made.look()


def test_a_line_in_pieces_is_shown_once(tmp_path, screen, log):
    made = log(tmp_path)
    made.feed(b"hel")
    made.feed(b"lo\n")
    made.close()
    assert screen.getvalue() == "web       | hello\n"


def test_a_last_line_without_its_end_is_shown_at_the_close(tmp_path, screen, log):
    made = log(tmp_path)
    made.feed(b"hello")
    made.close()
    assert screen.getvalue() == "web       | hello\n"


def test_an_endless_line_is_shown_in_pieces(tmp_path, screen, log):
    made = log(tmp_path)
    made.feed(b"x" * (LONGEST_LINE + 1))
    assert screen.getvalue().endswith("x\n")
    made.close()


def test_a_quiet_child_writes_to_its_file_only(tmp_path, screen, log):
    made = log(tmp_path, quiet=True)
    made.feed(b"hello\n")
    made.close()
    assert (screen.getvalue(), made.path.read_text()) == ("", "hello\n")


def test_the_last_lines_are_known_without_the_file(tmp_path, log):
    made = log(tmp_path / "logs")
    made.feed(b"".join(b"line %d\n" % number for number in range(TAIL_LINES + 5)))
    made.path.unlink()
    assert made.tail() == [f"line {number}" for number in range(5, TAIL_LINES + 5)]


def test_the_last_lines_are_those_of_one_process(tmp_path, log):
    made = log(tmp_path)
    made.feed(b"of the first\nwithout end")
    made.end_line()
    made.begin()
    made.feed(b"of the second\n")
    assert made.tail() == ["of the second"]


def test_the_next_process_begins_on_a_line_of_its_own(tmp_path, log):
    made = log(tmp_path)
    made.feed(b"without end")
    made.end_line()
    made.feed(b"hello\n")
    assert made.path.read_text() == "without end\nhello\n"


def test_a_full_disk_drops_lines_and_raises_nothing(disk, log):
    made = log(disk.path)
    disk.fill()
    made.feed(b"one\ntwo\n")
    made.feed(b"three\n")
    made.close()
    assert made.path.read_text() == ""


def test_lines_that_are_dropped_are_on_the_screen_all_the_same(disk, screen, log):
    made = log(disk.path)
    disk.fill()
    made.feed(b"one\n")
    assert "web       | one\n" in screen.getvalue()


def test_a_full_disk_is_said_once(disk, screen, clock, log):
    made = log(disk.path, quiet=True)
    disk.fill()
    for _ in range(3):
        made.feed(b"one\n")
        clock.now += RETRY_S
        made.look()
    assert screen.getvalue() == (
        "crewship  | web.log can't be written (No space left on device); its lines are dropped "
        "until it can\n"
    )


def test_room_again_is_said_with_the_number_of_lines_on_the_screen(disk, screen, clock, log):
    made = log(disk.path, quiet=True)
    disk.fill()
    made.feed(b"one\ntwo\n")
    room_again(disk, made, clock)
    assert screen.getvalue().endswith(
        "crewship  | 2 lines of web.log were not written (No space left on device)\n"
    )


def test_room_again_is_said_in_the_file_where_the_lines_are_missing(disk, clock, log):
    made = log(disk.path)
    made.feed(b"before\n")
    disk.fill(leave=0)
    made.feed(b"x" * PAGE + b"\n")
    room_again(disk, made, clock)
    made.feed(b"after\n")
    lines = [line for line in made.path.read_text().splitlines() if not line.startswith("x")]
    note = "crewship: 1 line was not written here (No space left on device)"
    assert lines == ["before", note, "after"]


def test_a_line_whose_start_was_dropped_is_dropped_whole(disk, clock, log):
    made = log(disk.path)
    disk.fill()
    made.feed(b"one\nthe start")
    room_again(disk, made, clock)
    made.feed(b" and its end\nafter\n")
    note = "crewship: 2 lines were not written here (No space left on device)"
    assert made.path.read_text().splitlines() == [note, "after"]


def test_a_folder_that_cant_be_made_now_is_made_later(tmp_path, clock, log):
    (tmp_path / "logs").write_text("in the way")
    made = log(tmp_path / "logs")
    made.feed(b"one\n")
    (tmp_path / "logs").unlink()
    clock.now += RETRY_S
    made.look()
    made.feed(b"two\n")
    note = "crewship: 1 line was not written here (File exists)"
    assert made.path.read_text().splitlines() == [note, "two"]


def test_a_file_that_was_removed_is_made_again(tmp_path, clock, log):
    made = log(tmp_path)
    made.path.unlink()
    clock.now += RETRY_S
    made.look()
    made.feed(b"hello\n")
    assert made.path.read_text() == "hello\n"
