"""A registry on loopback that behaves badly on purpose, with its token server and its CDN.

Three listeners on three ports: to a client they are three hosts, so a header that one of them must
not see is a header that its ``seen`` list has.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from tests.registry.server import MANIFEST_TYPE, digest, feature_manifest
from tests.registry.tars import METADATA, feature_tar

REPOSITORY = "acme/features/tool"
ARCHIVE = feature_tar()
MANIFEST = feature_manifest(ARCHIVE, {"dev.containers.metadata": json.dumps(METADATA)})
BLOB = f"/v2/{REPOSITORY}/blobs/{digest(ARCHIVE)}"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as a listener saw it."""

    method: str
    path: str
    authorization: str | None
    accept: str
    body: bytes


class Talk(BaseHTTPRequestHandler):
    """One exchange; ``server.behave`` answers it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = Asked(
            self.command,
            self.path.partition("?")[0],
            self.headers.get("Authorization"),
            self.headers.get("Accept", ""),
            self.rfile.read(length),
        )
        self.server.seen.append(asked)  # type: ignore[attr-defined]
        self.server.behave(self, asked)  # type: ignore[attr-defined]

    do_POST = do_GET

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def cut(self, body: bytes) -> None:
        """All of the body but its last byte, then the line is dead."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:-1])
        self.close_connection = True

    def reset(self) -> None:
        """Not a word, and the line is dead."""
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


Behave = Callable[[Talk, Asked], None]


class Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behave: Behave) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.behave = behave
        self.seen: list[Asked] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def authorizations(self) -> list[str]:
        return [asked.authorization for asked in self.seen if asked.authorization]


@dataclass
class Stub:
    """What the registry does is said by its fields; a test changes them before it asks.

    ``accepts``: the Authorization values that open it (none: it is public). ``issues``: what the
    token server answers to an Authorization value or a refresh token ("" is anonymous).
    ``trouble``: behaviours used up one by one before the usual answer, by path.
    """

    accepts: list[str] = field(default_factory=list)
    scheme: str = "Bearer"
    issues: dict[str, str] = field(default_factory=dict)
    trouble: dict[str, list[Behave]] = field(default_factory=dict)
    digest_header: bool = True
    blob_by_cdn: bool = False

    def __post_init__(self) -> None:
        self.registry = Listener(self._registry)
        self.tokens = Listener(self._tokens)
        self.cdn = Listener(lambda talk, _asked: talk.answer(200, ARCHIVE))

    def _registry(self, talk: Talk, asked: Asked) -> None:
        waiting = self.trouble.get(asked.path)
        if waiting:
            waiting.pop(0)(talk, asked)
        elif self.accepts and asked.authorization not in self.accepts:
            self.refuse(talk, asked)
        elif asked.path == BLOB and self.blob_by_cdn:
            talk.answer(307, Location=f"http://{self.cdn.host}/file")
        elif asked.path == BLOB:
            talk.answer(200, ARCHIVE)
        elif asked.path.startswith(f"/v2/{REPOSITORY}/manifests/"):
            named = {"Docker_Content_Digest": digest(MANIFEST)} if self.digest_header else {}
            talk.answer(200, MANIFEST, Content_Type=MANIFEST_TYPE, **named)
        else:
            talk.answer(404)

    def refuse(self, talk: Talk, _asked: Asked) -> None:
        realm = f'realm="http://{self.tokens.host}/token",service="stub"'
        talk.answer(401, WWW_Authenticate=f"{self.scheme} {realm}")

    def _tokens(self, talk: Talk, asked: Asked) -> None:
        form = parse_qs(asked.body.decode())
        given = form.get("refresh_token", [asked.authorization or ""])[0]
        token = self.issues.get(given)
        if token is None:
            talk.answer(401)
        else:
            talk.answer(200, json.dumps({"access_token": token, "token": token}).encode())


def basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


@contextmanager
def running_stub() -> Iterator[Stub]:
    stub = Stub()
    listeners = (stub.registry, stub.tokens, stub.cdn)
    threads = [
        threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True) for one in listeners
    ]
    for thread in threads:
        thread.start()
    try:
        yield stub
    finally:
        for one in listeners:
            one.shutdown()
            one.server_close()
