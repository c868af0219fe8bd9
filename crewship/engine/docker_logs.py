"""What containers print, followed live."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

from crewship.engine.docker_clients import DockerClients
from crewship.engine.docker_errors import SDK_FAILURES, engine_errors
from crewship.engine.docker_exec import READ_BYTES, OutputDecoder
from crewship.engine.running import LogStream

LAST_LINES = 20
MOST_READ = 1 << 20  # bytes: a line may be long
MOST_TOLD = 4000  # characters


class DockerLogs(DockerClients):
    def container_output(self, container: str) -> str:
        client: Any = self._quick  # Any: its own helpers, which the stubs leave out
        asked = {"stdout": 1, "stderr": 1, "tail": LAST_LINES}
        decoder = OutputDecoder()
        with engine_errors(f"reading what {container} printed"):
            answer = client._get(
                client._url("/containers/{0}/logs", container), params=asked, stream=True
            )
            with contextlib.closing(answer):
                if answer.status_code == HTTPStatus.NOT_FOUND:
                    return ""
                client._raise_for_status(answer)
                # The engine sends no more than it keeps, but what it keeps is its own affair.
                text = decoder.feed(answer.raw.read(MOST_READ, decode_content=True))
        return text[-MOST_TOLD:]

    def container_logs(self, container: str, *, since: float = 0) -> LogStream:
        client: Any = self._quick  # Any: its own helpers, which the stubs leave out
        asked = {"stdout": 1, "stderr": 1, "follow": 1, "since": f"{since:.6f}"}
        with engine_errors(f"reading what {container} prints"):
            answer = client._get(
                client._url("/containers/{0}/logs", container), params=asked, stream=True
            )
            client._raise_for_status(answer)
        return DockerLogStream(client, answer)


class DockerLogStream:
    """One answer of the engine, read by blocking: a host has many agents that print little.

    The SDK's own reader is not used: it takes a short read for a whole frame and loses the rest.
    """

    def __init__(self, client: Any, answer: Any) -> None:  # Any: see above; requests' response
        self._answer = answer
        raw = client._get_raw_response_socket(answer)
        self._sock = getattr(raw, "_sock", raw)
        self._sock.settimeout(None)

    def __iter__(self) -> Iterator[str]:
        decoder = OutputDecoder()
        try:
            # Failures end it as its end does: the engine or the container went away, or close().
            with contextlib.suppress(*SDK_FAILURES, HTTPException, ValueError, AttributeError):
                while data := self._answer.raw._fp.read1(READ_BYTES):
                    if text := decoder.feed(data):
                        yield text
            if text := decoder.rest():
                yield text
        finally:
            self._answer.close()

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._sock.shutdown(socket.SHUT_RDWR)
