from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from crewship.cli.supervisor.log_file import LogBounds, LogFile
from tests.stack.small_disk import SmallDisk, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "256k") as made:
        yield made


@pytest.fixture
def make() -> Iterator[Callable[..., LogFile]]:
    with ExitStack() as stack:

        def made(folder: Path, *, file_bytes: int = 10, files: int = 3) -> LogFile:
            log = LogFile(folder / "web.log", LogBounds(file_bytes=file_bytes, files=files))
            stack.callback(log.close)
            return log

        yield made


def contents(tmp_path: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in tmp_path.iterdir()}


def test_it_rotates_while_it_is_written(tmp_path, make):
    log = make(tmp_path)
    for line in (b"first\n", b"second\n"):
        assert log.append(line) == b""
    assert contents(tmp_path) == {"web.log": "second\n", "web.log.1": "first\n"}


def test_the_oldest_file_goes(tmp_path, make):
    log = make(tmp_path)
    for number in range(9):
        log.append(b"line %d\n" % number)
    assert contents(tmp_path) == {
        "web.log": "line 8\n",
        "web.log.1": "line 7\n",
        "web.log.2": "line 6\n",
    }


def test_one_file_is_kept_when_one_is_asked_for(tmp_path, make):
    log = make(tmp_path, files=1)
    log.append(b"line 1\n")
    log.append(b"line 2\n")
    assert contents(tmp_path) == {"web.log": "line 2\n"}


def test_files_of_a_time_when_more_were_kept_go(tmp_path, make):
    for name in ("web.log.1", "web.log.7", "web.log.kept"):
        (tmp_path / name).write_text("old\n")
    make(tmp_path).append(b"new\n")
    assert sorted(contents(tmp_path)) == ["web.log", "web.log.1", "web.log.kept"]


def test_a_line_stays_in_one_file(tmp_path, make):
    log = make(tmp_path)
    log.append(b"a line ")
    log.append(b"in two parts\nnext\n")
    assert contents(tmp_path) == {"web.log": "next\n", "web.log.1": "a line in two parts\n"}


def test_a_line_without_end_is_bounded_too(tmp_path, make):
    log = make(tmp_path)
    for _ in range(9):
        log.append(b"x" * 10)
    assert {name: len(text) for name, text in contents(tmp_path).items()} == {
        "web.log": 10,
        "web.log.1": 10,
        "web.log.2": 10,
    }


def test_a_file_that_was_long_before_goes_on_in_a_new_one(tmp_path, make):
    (tmp_path / "web.log").write_text("a long line\n")
    make(tmp_path).append(b"new\n")
    assert contents(tmp_path) == {"web.log": "new\n", "web.log.1": "a long line\n"}


def test_a_file_that_was_removed_is_made_again_after_a_look(tmp_path, make):
    log = make(tmp_path)
    log.append(b"one\n")
    (tmp_path / "web.log").unlink()
    log.look()
    log.append(b"two\n")
    assert contents(tmp_path) == {"web.log": "two\n"}


def test_a_file_that_was_emptied_is_counted_anew(tmp_path, make):
    log = make(tmp_path)
    log.append(b"12345678\n")
    (tmp_path / "web.log").write_text("")
    log.look()
    log.append(b"again\n")
    assert contents(tmp_path) == {"web.log": "again\n"}


def test_a_folder_that_cant_be_made_is_told_and_not_raised(tmp_path):
    (tmp_path / "file").write_text("")
    log = LogFile(tmp_path / "file" / "web.log", LogBounds())
    assert log.append(b"line\n") == b"line\n"
    assert log.trouble == "File exists"


def test_a_full_disk_is_told_and_not_raised(tmp_path, make):
    (tmp_path / "web.log").symlink_to("/dev/full")
    log = make(tmp_path, file_bytes=10_000_000)
    assert log.append(b"line\n") == b"line\n"
    assert log.trouble == "No space left on device"


def test_what_fits_is_written(disk, make):
    log = make(disk.path, file_bytes=10_000_000)
    disk.fill(leave=8192)
    rest = log.append(b"x" * 65536)
    assert 0 < len(rest) < 65536
    assert log.path.stat().st_size == 65536 - len(rest)


def test_something_whole_is_not_written_in_part(disk, make):
    log = make(disk.path, file_bytes=10_000_000)
    disk.fill(leave=8192)
    log.append(b"line\n")
    assert log.append_whole(b"x" * 65536) is False
    assert log.path.read_text() == "line\n"


@pytest.mark.parametrize("files", [1, 3])
def test_it_rotates_on_a_full_disk(disk, files, make):
    disk.fill(leave=8192)
    log = make(disk.path, file_bytes=4096, files=files)
    for _ in range(10):
        log.append(b"x" * 4095 + b"\n")
    written = sum(path.stat().st_size for path in disk.path.glob("web.log*"))
    assert 0 < written <= files * 4096
