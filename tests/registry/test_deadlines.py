"""Total times and cancels hold wherever a peer dawdles: names, handshakes, headers, bodies."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from crewship.domain.errors import BuildCancelled, MiseUnavailable, RegistryUnreachable
from crewship.registry import sockets
from crewship.registry.background import result_of, side_by_side, start
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.http import addresses_of
from crewship.registry.mise import MiseSource, ensure_mise
from crewship.registry.options import RegistryOptions
from tests.registry.server import digest
from tests.registry.test_sockets import raw_server

DATA = b"x" * 100_000
NAME = digest(DATA)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
ENOUGH_S = 20.0  # far more than any of these should take, far less than the peers would


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Ends the servers' dripping with the test."""
    event = threading.Event()
    yield event
    event.set()


def drip_headers(stop: threading.Event) -> Callable[[socket.socket], None]:
    """A header that never ends, a byte at a time: no read ever times out."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not stop.wait(0.05):
            connection.sendall(b"x")

    return answer


def drip_body(stop: threading.Event) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        while not stop.wait(0.05):
            connection.sendall(b"x")

    return answer


def silent(stop: threading.Event) -> Callable[[socket.socket], None]:
    def answer(_connection: socket.socket) -> None:
        stop.wait(60)

    return answer


PEERS = pytest.mark.parametrize("peer", [drip_headers, drip_body, silent])


def client(total_s: float, cancel: threading.Event | None = None, **options: Any) -> OciClient:
    settings = RegistryOptions(
        read_timeout_s=60, connect_timeout_s=60, total_timeout_s=total_s, **options
    )
    return OciClient(settings, cancel=cancel)


@PEERS
def test_the_total_time_holds(peer: Any, stop: threading.Event, blobs: BlobStore) -> None:
    with raw_server(peer(stop)) as host, client(1.0) as oci:
        began = time.monotonic()
        with pytest.raises(RegistryUnreachable, match="within 1 s"):
            oci.blob(host, "a/b", NAME, len(DATA), blobs)
        assert time.monotonic() - began < ENOUGH_S
        stop.set()
    assert list((blobs.root / "tmp").iterdir()) == []


@PEERS
def test_a_cancel_ends_what_is_under_way(
    peer: Any, stop: threading.Event, blobs: BlobStore
) -> None:
    cancel = threading.Event()
    with raw_server(peer(stop)) as host, client(300, cancel) as oci:
        asked = start(lambda: oci.blob(host, "a/b", NAME, len(DATA), blobs), "test")
        assert not asked.done()
        cancel.set()
        with pytest.raises(BuildCancelled):
            asked.result(timeout=ENOUGH_S)
        stop.set()
    assert list((blobs.root / "tmp").iterdir()) == []


def test_a_token_server_that_drips_keeps_to_the_total_time(stop: threading.Event) -> None:
    with raw_server(drip_headers(stop)) as slow:

        def challenge(connection: socket.socket) -> None:
            connection.sendall(
                b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n"
                b'WWW-Authenticate: Bearer realm="http://%s/token"\r\n\r\n' % slow.encode()
            )

        with raw_server(challenge) as host, client(1.0) as oci:
            with pytest.raises(RegistryUnreachable, match="within 1 s"):
                oci.manifest(host, "a/b", "1")
            stop.set()


def test_a_pause_between_tries_ends_with_the_cancel() -> None:
    cancel = threading.Event()
    seen = threading.Event()

    def busy(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 503 No\r\nRetry-After: 19\r\nContent-Length: 0\r\n\r\n")
        seen.set()

    with raw_server(busy) as host, client(300, cancel) as oci:
        asked = start(lambda: oci.manifest(host, "a/b", "1"), "test")
        assert seen.wait(ENOUGH_S)
        began = time.monotonic()
        cancel.set()
        with pytest.raises(BuildCancelled):
            asked.result(timeout=ENOUGH_S)
        assert time.monotonic() - began < 15


def test_a_name_that_is_looked_up_for_ever_keeps_to_the_total_time(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_args: Any, **_options: Any) -> Any:
        stop.wait(60)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with client(1.0) as oci, pytest.raises(RegistryUnreachable):
        oci.manifest("registry.example", "a/b", "1")
    cancel = threading.Event()
    with client(300, cancel) as oci:
        asked = start(lambda: oci.manifest("registry.example", "a/b", "1"), "test")
        cancel.set()
        with pytest.raises(BuildCancelled):
            asked.result(timeout=ENOUGH_S)


def test_look_ups_that_hang_have_a_bound(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_args: Any, **_options: Any) -> Any:
        stop.wait(60)
        raise OSError("no such name")

    monkeypatch.setattr(sockets, "_look_ups", threading.BoundedSemaphore(2))
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            sockets.look_up("slow.example", 0.05)
    with pytest.raises(TimeoutError, match="too many"):
        sockets.look_up("slow.example", 0.05)


def test_an_unknown_name_has_no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: Any, **_options: Any) -> Any:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert addresses_of("nowhere.example") == []


def test_all_addresses_of_a_name_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one refuses, the second one answers."""
    with raw_server(lambda c: c.sendall(HEAD)) as host:
        port = int(host.rpartition(":")[2])
        found = [(0, 0, 0, "", ("::1", 0)), (0, 0, 0, "", ("127.0.0.1", 0))]
        real = socket.getaddrinfo

        def two(name: str, *args: Any, **options: Any) -> Any:
            return found if name == "two.localhost" else real(name, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", two)
        with httpx.Client(trust_env=False) as http:
            sockets.keep_deadlines(http)
            response = http.send(
                http.build_request("GET", f"http://two.localhost:{port}/"), stream=True
            )
            assert response.status_code == 200
            response.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.folder = folder  # type: ignore[attr-defined]
    return context


def test_a_slow_answer_over_tls_is_read_whole(tls: ssl.SSLContext, blobs: BlobStore) -> None:
    """Looking for a cancel between reads loses nothing of a record that came in part."""
    stop = threading.Event()

    def slowly(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        for begin in range(0, len(DATA), 25_000):
            stop.wait(0.4)  # longer than a look
            connection.sendall(DATA[begin : begin + 25_000])

    with tls_server(tls, slowly) as host:
        folder: Path = tls.folder  # type: ignore[attr-defined]
        mirrors = {"secure.example": f"https://{host}"}
        with client(60, ca_bundle=folder / "cert.pem", mirrors=mirrors) as oci:
            path = oci.blob("secure.example", "a/b", NAME, len(DATA), blobs)
    assert path.read_bytes() == DATA


def test_a_handshake_that_does_not_end_keeps_to_the_total_time(stop: threading.Event) -> None:
    with raw_server(silent(stop)) as host:
        with client(1.0, mirrors={"secure.example": f"https://{host}"}) as oci:
            began = time.monotonic()
            with pytest.raises(RegistryUnreachable):
                oci.manifest("secure.example", "a/b", "1")
            assert time.monotonic() - began < ENOUGH_S
        stop.set()


def tls_server(context: ssl.SSLContext, answer: Callable[[socket.socket], None]) -> Any:
    def wrapped(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(65536)
            answer(secure)

    return raw_server(wrapped, reads_first=False)


# -- mise


def test_a_download_of_mise_ends_with_the_cancel(stop: threading.Event, blobs: BlobStore) -> None:
    cancel = threading.Event()
    with raw_server(drip_headers(stop)) as host:
        source = MiseSource.parse(f"http://{host}/mise#sha256={'a' * 64}")
        asked = start(
            lambda: ensure_mise(source, "linux/amd64", blobs, cancel=cancel), "fetch-mise"
        )
        cancel.set()
        with pytest.raises(BuildCancelled):
            asked.result(timeout=ENOUGH_S)
        stop.set()


def test_who_waits_for_anothers_download_ends_with_the_cancel(blobs: BlobStore) -> None:
    cancel = threading.Event()
    with blobs.exclusive("mise"):
        source = MiseSource.parse("/nowhere/mise")
        asked = start(
            lambda: ensure_mise(source, "linux/amd64", blobs, cancel=cancel), "fetch-mise"
        )
        cancel.set()
        with pytest.raises(BuildCancelled):
            asked.result(timeout=ENOUGH_S)


def test_who_waits_for_anothers_download_keeps_to_the_total_time(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crewship.registry.mise.TOTAL_S", 0.3)
    with blobs.exclusive("mise"), pytest.raises(MiseUnavailable, match="within"):
        ensure_mise(MiseSource.parse("/nowhere/mise"), "linux/amd64", blobs)


# -- work that is not waited for


def test_a_waiter_leaves_at_the_cancel_whatever_the_work_does(stop: threading.Event) -> None:
    cancel = threading.Event()
    work = start(lambda: stop.wait(60), "deaf")
    cancel.set()
    with pytest.raises(BuildCancelled):
        result_of(work, cancel)
    assert not work.done()


def test_the_works_own_time_out_is_its_result() -> None:
    def late() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        result_of(start(late, "late"), threading.Event())


def test_results_come_in_the_order_of_the_items() -> None:
    assert side_by_side(lambda n: n * n, range(20), 3, "square") == [n * n for n in range(20)]
    assert side_by_side(lambda n: n, [], 3, "none") == []


def test_a_failure_is_told_while_others_still_dawdle(stop: threading.Event) -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise ValueError("first")
        stop.wait(60)

    with pytest.raises(ValueError, match="first"):
        side_by_side(work, range(50), 3, "work")
    stop.set()
    assert len(begun) <= 4
