"""What only a real connection shows: cut bodies, endless bodies, resets, time-outs."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from crewship.domain.errors import DigestMismatch, RegistryError, RegistryUnreachable
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.http import TooLarge
from crewship.registry.options import RegistryOptions
from tests.registry.server import digest

DATA = b"x" * 100_000
NAME = digest(DATA)


def client(**options: float) -> OciClient:
    settings = {"retries": 1, "read_timeout_s": 0.2, "total_timeout_s": 5.0} | options
    return OciClient(RegistryOptions(**settings), sleep=lambda _s: None)  # type: ignore[arg-type]


@contextmanager
def raw_server(
    answer: Callable[[socket.socket], None], *, reads_first: bool = True
) -> Iterator[str]:
    """A loopback listener that answers every connection by ``answer``, then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        if reads_first:
                            connection.recv(65536)
                        answer(connection)
                    except OSError:
                        continue  # the client hung up, as it should

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_a_body_cut_short_is_tried_again_then_unreachable(blobs: BlobStore) -> None:
    seen: list[int] = []

    def cut(connection: socket.socket) -> None:
        seen.append(1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nxxx")

    with raw_server(cut) as host, client() as oci, pytest.raises(RegistryUnreachable):
        oci.blob(host, "a/b", NAME, len(DATA), blobs)
    assert len(seen) == 2
    assert list((blobs.root / "tmp").iterdir()) == []


def test_a_body_without_length_that_ends_early_is_a_mismatch(blobs: BlobStore) -> None:
    def short(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nxxx")

    with raw_server(short) as host, client() as oci, pytest.raises(DigestMismatch):
        oci.blob(host, "a/b", NAME, len(DATA), blobs)


def test_an_endless_manifest_is_cut_at_the_limit() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    with raw_server(endless) as host, client() as oci, pytest.raises(TooLarge):
        oci.manifest(host, "a/b", "1")


def test_an_endless_blob_is_cut_at_its_size(blobs: BlobStore) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with raw_server(endless) as host, client() as oci, pytest.raises(DigestMismatch):
        oci.blob(host, "a/b", NAME, len(DATA), blobs)
    assert list((blobs.root / "tmp").iterdir()) == []


def test_a_body_that_drips_is_given_up_after_the_total_time(blobs: BlobStore) -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not stop.wait(0.05):
            connection.sendall(b"x")

    with raw_server(drip) as host, client(total_timeout_s=0.4) as oci:
        with pytest.raises(RegistryUnreachable, match=r"within 0\.4 s"):
            oci.blob(host, "a/b", NAME, len(DATA), blobs)
        stop.set()


def test_silence_is_a_time_out() -> None:
    stop = threading.Event()

    def silent(_connection: socket.socket) -> None:
        stop.wait(5)

    with raw_server(silent) as host, client(retries=0) as oci:
        with pytest.raises(RegistryUnreachable, match="no answer in time"):
            oci.manifest(host, "a/b", "1")
        stop.set()


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
    with client() as oci, pytest.raises(RegistryUnreachable, match=host):
        oci.manifest(host, "a/b", "1")


def test_content_encoding_is_not_undone(httpserver: HTTPServer, blobs: BlobStore) -> None:
    def zipped(_request: Request) -> Response:
        return Response(gzip.compress(DATA), headers={"Content-Encoding": "gzip"})

    httpserver.expect_request(f"/v2/a/b/blobs/{NAME}").respond_with_handler(zipped)
    host = f"{httpserver.host}:{httpserver.port}"
    with client() as oci, pytest.raises(DigestMismatch):
        oci.blob(host, "a/b", NAME, len(DATA), blobs)


def test_html_instead_of_a_token_is_an_error(httpserver: HTTPServer) -> None:
    host = f"{httpserver.host}:{httpserver.port}"
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{host}/token"'}
    httpserver.expect_request("/v2/a/b/manifests/1").respond_with_data("", 401, headers=challenge)
    httpserver.expect_request("/token").respond_with_data("<html>", content_type="text/html")
    with client() as oci, pytest.raises(RegistryError, match="token"):
        oci.manifest(host, "a/b", "1")
