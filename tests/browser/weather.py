"""A proxy in front of a real server, whose server can go away: refused, cut off, or answered by
the proxy itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

from tests.stack.server import free_port

SORRY = b"<!doctype html><html><body><h1>Sorry</h1><p>nginx</p></body></html>"


class Proxy:
    """``url`` leads to the server until ``goes_away`` or ``answers`` says otherwise."""

    def __init__(self, upstream: str) -> None:
        self._to = (urlsplit(upstream).hostname or "", urlsplit(upstream).port or 0)
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._reply = b""
        self.serves()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serves(self) -> None:
        """All is well (again)."""
        self._reply = b""
        if self._listener is None:
            listener = socket.create_server(("127.0.0.1", self.port))
            self._listener = listener
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def goes_away(self) -> None:
        """Nothing listens any more, and what was open is cut off: a server that was stopped."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            listener.close()
        self._cut()

    def answers(self, status: int, body: bytes = SORRY) -> None:
        """Every request gets this of the proxy's own: its server is away."""
        head = f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nConnection: close\r\n"
        self._reply = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._cut()

    def _cut(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            if self._reply:
                client.recv(65536)
                client.sendall(self._reply)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass  # closed while something is unread, the answer would be lost
                return
            with socket.create_connection(self._to) as server:
                self._open.add(server)
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()
                self._open.discard(server)
        except OSError:
            return
        finally:
            self._open.discard(client)
            client.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
