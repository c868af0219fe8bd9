"""``crewship start`` on a data directory without room: one sentence, whichever stage meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.server import free_port
from tests.stack.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.cli

HINT = "Free space there, then start again; nothing that was stored is lost."
CREWSHIP = "from crewship.cli.main import main; main()"
WITHOUT_CHECK = f"from crewship.domain import data_dir; data_dir.ROOM = 0; {CREWSHIP}"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "8m") as made:
        yield made


def start(data_dir: Path, *, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    program = CREWSHIP if check else WITHOUT_CHECK
    usual = {k: v for k, v in os.environ.items() if not k.startswith(("CREWSHIP_", "DJANGO_"))}
    argv = [sys.executable, "-c", program, "start", "--bind", f"127.0.0.1:{free_port()}"]
    return subprocess.run(
        [*argv, "--data-dir", str(data_dir)],
        env={**usual, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


def ends_with_one_sentence(done: subprocess.CompletedProcess[str], data_dir: Path) -> bool:
    last = done.stderr.splitlines()[-2:]
    return (done.returncode, last, "Traceback" in done.stderr) == (
        2,
        [f"crewship: the disk of {data_dir} is full", HINT],
        False,
    )


def test_a_file_in_place_of_the_folder_is_one_sentence_too(tmp_path):
    (tmp_path / "data").write_text("")
    done = start(tmp_path / "data")
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        [
            f"crewship: {tmp_path / 'data'} can't be used: File exists",
            "Make it writable for this user, or choose another --data-dir.",
        ],
    )


def test_the_secret_key_has_no_room(disk):
    disk.fill()
    done = start(disk.path)
    assert done.stderr.splitlines() == [f"crewship: the disk of {disk.path} is full", HINT]
    assert [path.name for path in disk.path.iterdir()] == ["filling"]


def test_there_is_little_room_left(disk):
    disk.fill(leave=1_000_000)
    done = start(disk.path)
    assert ends_with_one_sentence(done, disk.path), done.stderr


def test_redis_has_no_room(disk):
    disk.fill()
    done = start(disk.path, check=False, CREWSHIP_SECRET_KEY="x" * 50)
    assert ends_with_one_sentence(done, disk.path), done.stderr


def test_migrate_has_no_room(disk):
    disk.fill(leave=65_536)
    done = start(disk.path, check=False, CREWSHIP_SECRET_KEY="x" * 50)
    assert ends_with_one_sentence(done, disk.path), done.stderr
