"""Connections that keep to the deadline of the request they serve.

An HTTP client's time-outs are for each read: a peer that sends a byte of its headers every two
seconds is waited for without end. Here every wait, whether for a name, a connection, a handshake,
headers or a body, is cut to what is left of the deadline, and reads see a cancel within LOOK_S.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from threading import BoundedSemaphore
from typing import Any

import httpcore
import httpx

from crewship.registry import background
from crewship.registry.deadline import LOOK_S, Deadline, current_deadline

MAX_LOOK_UPS = 32  # names that are being looked up at once; the resolver can't be interrupted
MAX_ADDRESSES = 8  # of a name that are tried
NAME_S = 10.0  # for a look-up outside of any request

_look_ups = BoundedSemaphore(MAX_LOOK_UPS)


def look_up(name: str, timeout_s: float) -> list[str]:
    """All addresses of a host name, each once, in the resolver's order.

    Raises OSError (or UnicodeError) when it doesn't resolve, TimeoutError when that takes longer;
    the look-up itself then ends in the background by the resolver's own time-outs.
    """
    give_up_at = time.monotonic() + timeout_s
    if not _look_ups.acquire(timeout=max(0.0, timeout_s)):
        raise TimeoutError("too many names are being looked up")

    def ask() -> list[str]:
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        finally:
            _look_ups.release()
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    asked = background.start(ask, "look-up")
    deadline = current_deadline()
    while True:
        left = give_up_at - time.monotonic()
        try:
            return asked.result(timeout=max(0.0, min(left, LOOK_S)))
        except TimeoutError:
            if asked.done() or left <= 0:
                raise
            if deadline is not None:
                deadline.check(name)


def keep_deadlines(client: httpx.Client) -> None:
    """Every connection that the client opens from now on, to proxies too, keeps to deadlines."""
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)  # Any: httpx gives no other way in
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,  # Any: httpcore's
    ) -> httpcore.NetworkStream:
        """The first address that answers; ``timeout`` is for all of them together."""
        end = time.monotonic() + _cut(timeout, host)
        try:
            found = look_up(host, end - time.monotonic())[:MAX_ADDRESSES]
        except TimeoutError as err:
            raise httpcore.ConnectTimeout(str(err)) from err
        except (OSError, UnicodeError) as err:
            raise httpcore.ConnectError(str(err)) from err
        error: Exception = httpcore.ConnectError("the name has no address")
        for number, address in enumerate(found):
            share = (end - time.monotonic()) / (len(found) - number)
            if share <= 0:
                raise httpcore.ConnectTimeout("timed out")
            try:
                stream = self._inner.connect_tcp(
                    address, port, _cut(share, host), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as err:
                error = err
            else:
                return _Stream(stream, host)
        raise error

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, host: str) -> None:
        self._inner = inner
        self._host = host

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        end = time.monotonic() + _cut(timeout, self._host)
        while True:
            left = end - time.monotonic()
            try:
                return self._inner.read(max_bytes, max(0.001, min(left, LOOK_S)))
            except httpcore.ReadTimeout:  # nothing is lost by it, over TLS neither
                _cut(None, self._host)
                if time.monotonic() >= end:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _cut(timeout, self._host))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        # Python's handshake takes its time-out for the whole of it.
        cut = _cut(timeout, self._host)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, cut), self._host)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _cut(timeout_s: float | None, host: str) -> float:
    """Seconds that may be waited now. Raises as ``Deadline.check``."""
    deadline: Deadline | None = current_deadline()
    if deadline is None:
        return 3600.0 if timeout_s is None else timeout_s
    deadline.check(host)
    left = max(0.001, deadline.left_s)
    return left if timeout_s is None else min(timeout_s, left)
