from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from crewship.domain.data_dir import ROOM, check_room, disk_full, says_disk_full, writing_in
from crewship.domain.errors import DataDirUnusable, DataDiskFull
from tests.stack.small_disk import SmallDisk, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "8m") as made:
        yield made


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_used_up_quota_are_one_error(tmp_path: Path, number: int) -> None:
    with pytest.raises(DataDiskFull, match="the disk of"), writing_in(tmp_path):
        raise OSError(number, os.strerror(number))


def test_another_fault_names_its_reason(tmp_path: Path) -> None:
    told = pytest.raises(DataDirUnusable, match="can't be used: Read-only file system")
    with told as error, writing_in(tmp_path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    assert error.value.error_code == "data_dir_unusable"


def test_room_is_looked_for_and_given_back(tmp_path: Path) -> None:
    check_room(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_with_little_room_has_none(disk: SmallDisk) -> None:
    disk.fill(leave=ROOM // 2)
    with pytest.raises(DataDiskFull):
        check_room(disk.path)
    assert [path.name for path in disk.path.iterdir()] == ["filling"]


def test_a_disk_with_enough_room_has_it(disk: SmallDisk) -> None:
    disk.fill(leave=ROOM + 65_536)
    check_room(disk.path)


@pytest.mark.parametrize(
    "words",
    [
        "OSError: [Errno 28] No space left on device: '/x'",
        "django.db.utils.OperationalError: database or disk is full",
        "write: Disk quota exceeded",
    ],
)
def test_last_words_that_tell_of_a_full_disk(words: str) -> None:
    assert says_disk_full(f"Traceback\n{words}\n")


def test_last_words_that_tell_of_something_else() -> None:
    assert not says_disk_full("Address already in use")


def test_the_sentence_names_the_folder() -> None:
    assert str(disk_full(Path("/data"))) == "the disk of /data is full"
