"""A content-addressed store on disk: ``blobs/sha256/<hex>``, shared by all processes of a host.

A file under its final name is whole: it was written to ``tmp/``, verified, synced and renamed.
Writers of one blob don't disturb each other, the last rename wins and all have equal content.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from crewship.domain.data_dir import is_full
from crewship.domain.errors import DataDiskFull, DigestMismatch
from crewship.registry.digests import require_digest

CHEAP_BYTES = 8 * 1024 * 1024  # up to this size a blob is hashed each time it is looked up
STALE_TEMP_S = 24 * 3600  # a temp file this old belongs to a process that was killed
_LOCK_LOOK_S = 0.1
_CHUNK = 1024 * 1024


class BlobStore:
    """Blobs by digest below ``root``, which is made when missing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._tmp = root / "tmp"
        self._trusted: set[tuple[str, int, int]] = set()  # digest, size, mtime in ns
        with _told_when_full():
            self._blobs.mkdir(parents=True, exist_ok=True)
            self._tmp.mkdir(exist_ok=True)
        self._sweep()

    def path(self, digest: str) -> Path:
        """Where the blob is or would be. Raises DigestMismatch for anything but a sha256 digest."""
        return self._blobs / require_digest(digest).removeprefix("sha256:")

    def find(self, digest: str) -> Path | None:
        """The blob's file, verified, or None. A file that doesn't match its name is removed.

        Blobs over CHEAP_BYTES are hashed once per store object while size and mtime stay.
        """
        path = self.path(digest)
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None
        mark = (digest, stat.st_size, stat.st_mtime_ns)
        if stat.st_size > CHEAP_BYTES and mark in self._trusted:
            return path
        if _hash_file(path) != digest:
            path.unlink(missing_ok=True)
            return None
        self._trusted.add(mark)
        return path

    def read(self, digest: str) -> bytes | None:
        """The blob's bytes, verified, or None."""
        path = self.find(digest)
        return None if path is None else path.read_bytes()

    def put(self, data: bytes) -> str:
        """Store ``data``; its digest."""
        return self.add([data])

    def add(self, chunks: Iterable[bytes], *, executable: bool = False) -> str:
        """Store a stream whose digest isn't known before; its digest."""
        return self._write(chunks, None, None, executable)

    def write(
        self,
        digest: str,
        chunks: Iterable[bytes],
        *,
        size: int | None = None,
        executable: bool = False,
    ) -> Path:
        """Store a stream that must have this digest (and size in bytes); its file.

        Raises DigestMismatch, DataDiskFull, and then nothing is kept. Errors of ``chunks`` pass
        through.
        """
        self._write(chunks, require_digest(digest), size, executable)
        return self.path(digest)

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """An empty file on the store's disk that is gone afterwards. Raises DataDiskFull, also for
        what the block writes."""
        with _told_when_full():
            handle, name = tempfile.mkstemp(dir=self._tmp)
            os.close(handle)
            try:
                yield Path(name)
            finally:
                Path(name).unlink(missing_ok=True)

    @contextmanager
    def exclusive(self, name: str, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Held by one thread of one process on this host at a time; others wait, and call
        ``check`` meanwhile, which may raise to give up."""
        with (self.root / f"{name}.lock").open("a") as handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    check()
                    time.sleep(_LOCK_LOOK_S)
            yield

    def _write(
        self, chunks: Iterable[bytes], digest: str | None, size: int | None, executable: bool
    ) -> str:
        hasher, seen = hashlib.sha256(), 0
        with self.temporary() as temp:
            with temp.open("wb") as out:
                for chunk in chunks:
                    hasher.update(chunk)
                    seen += len(chunk)
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
            found = f"sha256:{hasher.hexdigest()}"
            if digest is not None and found != digest:
                raise DigestMismatch(f"Expected {digest}, got {found} ({seen} bytes)")
            if size is not None and seen != size:
                raise DigestMismatch(f"Expected {size} bytes of {digest}, got {seen}")
            # Readable by others: the engine may run as another user. Nothing here is secret.
            temp.chmod(0o755 if executable else 0o644)
            temp.rename(self.path(found))
        return found

    def _sweep(self) -> None:
        for path in self._tmp.iterdir():
            try:
                if path.stat().st_mtime < time.time() - STALE_TEMP_S:
                    path.unlink()
            except FileNotFoundError:
                continue  # its writer was faster


@contextmanager
def _told_when_full() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        if is_full(err):
            text = "There is no room for downloads on the disk of the server's data directory."
            raise DataDiskFull(text) from err
        raise


def _hash_file(path: Path) -> str:
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                hasher.update(chunk)
    except FileNotFoundError:
        return ""
    return f"sha256:{hasher.hexdigest()}"
