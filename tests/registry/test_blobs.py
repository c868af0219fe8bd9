from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crewship.domain.errors import DataDiskFull, DigestMismatch
from crewship.registry.blobs import BlobStore
from tests.registry.server import digest
from tests.stack.small_disk import SmallDisk, small_disk

DATA = b"content" * 1000


def leftovers(blobs: BlobStore) -> list[Path]:
    return list((blobs.root / "tmp").iterdir())


def test_what_was_put_is_read_back_by_its_digest(blobs: BlobStore) -> None:
    assert blobs.put(DATA) == digest(DATA)
    assert blobs.read(digest(DATA)) == DATA


def test_an_absent_blob_is_none(blobs: BlobStore) -> None:
    assert blobs.find(digest(DATA)) is None


def test_a_wrong_digest_keeps_nothing(blobs: BlobStore) -> None:
    with pytest.raises(DigestMismatch):
        blobs.write(digest(b"other"), [DATA])
    assert leftovers(blobs) == []
    assert blobs.find(digest(DATA)) is None


def test_a_wrong_size_keeps_nothing(blobs: BlobStore) -> None:
    with pytest.raises(DigestMismatch):
        blobs.write(digest(DATA), [DATA], size=3)
    assert leftovers(blobs) == []
    assert blobs.find(digest(DATA)) is None


def test_a_stream_that_breaks_leaves_no_temp_file(blobs: BlobStore) -> None:
    def breaking() -> Iterator[bytes]:
        yield DATA
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        blobs.write(digest(DATA), breaking())
    assert leftovers(blobs) == []


def test_a_damaged_blob_is_removed_when_found(blobs: BlobStore) -> None:
    path = blobs.path(blobs.put(DATA))
    path.write_bytes(b"swapped")
    assert blobs.find(digest(DATA)) is None
    assert not path.exists()


@pytest.mark.parametrize("name", ["sha256:../../etc/passwd", "sha512:" + "a" * 64, "", "latest"])
def test_only_sha256_digests_name_a_blob(blobs: BlobStore, name: str) -> None:
    with pytest.raises(DigestMismatch):
        blobs.path(name)


def test_eight_writers_of_one_blob_all_succeed(blobs: BlobStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: blobs.write(digest(DATA), [DATA]), range(8)))
    assert [path.read_bytes() for path in paths] == [DATA]
    assert leftovers(blobs) == []


def test_an_executable_blob_can_be_executed(blobs: BlobStore) -> None:
    found = blobs.add([b"#!/bin/sh\n"], executable=True)
    assert blobs.path(found).stat().st_mode & 0o777 == 0o755


def test_temp_files_of_killed_writers_are_swept(tmp_path: Path) -> None:
    old = BlobStore(tmp_path).root / "tmp" / "left"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert leftovers(BlobStore(tmp_path)) == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "1m") as made:
        yield made


def test_a_full_disk_is_told_without_its_path_and_keeps_nothing(disk: SmallDisk) -> None:
    blobs = BlobStore(disk.path / "store")
    disk.fill(leave=8192)
    with pytest.raises(DataDiskFull) as told:
        blobs.put(b"x" * 65536)
    assert str(disk.path) not in str(told.value)
    assert leftovers(blobs) == []


def test_a_full_disk_is_told_of_a_temporary_file_too(disk: SmallDisk) -> None:
    blobs = BlobStore(disk.path / "store")
    disk.fill()
    with pytest.raises(DataDiskFull), blobs.temporary() as temp:
        temp.write_bytes(DATA)
    assert leftovers(blobs) == []


def test_another_fault_of_the_writer_passes_through(blobs: BlobStore) -> None:
    with pytest.raises(ConnectionResetError), blobs.temporary():
        raise ConnectionResetError
