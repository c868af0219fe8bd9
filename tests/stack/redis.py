"""A Redis server of the test's own, which can be killed and started again."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from crewship.cli.embedded_redis import find_server
from tests.stack.server import wait_until


class RedisServer:
    """A server of the test's own on a socket, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self._process = subprocess.Popen(
            [str(find_server()), *options], stdout=subprocess.DEVNULL, cwd=self.socket.parent
        )
        wait_until(self.answers, 20, "Redis answers")

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except (RedisError, OSError):
            return False

    def client(self) -> Redis:
        return Redis.from_url(self.url)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
            self.socket.unlink(missing_ok=True)


def servers_at(socket: Path) -> list[int]:
    """Process ids of Redis servers with that socket; their environment can't be read, since Redis
    writes its title over it."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if f"unixsocket:{socket}" in line or f"--unixsocket {socket}" in line:
                found.append(int(place.name))
    return found
