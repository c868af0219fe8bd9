"""Authentication as the distribution spec has it: 401 challenge, bearer token or basic.

Where credentials go. Those stored for a registry host are sent (a) to that host itself, when it
asks for basic, or (b) to the token server (``realm``) that this host named, as docker does it:
ghcr.io and quay.io name themselves, Docker Hub names auth.docker.io, so a foreign realm is normal.
A hostile registry gains nothing from (b) that (a) would not give it: they are its own credentials.
What is refused: a realm that is not https (loopback and ``plain_http`` hosts excepted), one in a
private network when the registry is public, and any challenge that comes from a redirect's target
instead of the registry itself. Other hosts' credentials are never looked up for a challenge.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from crewship.domain.errors import RegistryAuth, RegistryError
from crewship.registry.deadline import Deadline
from crewship.registry.http import BoundedHttp, host_of, read_body
from crewship.registry.options import Credentials, Endpoint

TOKEN_LIMIT = 256 * 1024  # bytes of a token server's answer
IDENTITY_USER = "<token>"
_PARAMETER = re.compile(r'([A-Za-z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    scheme: str  # "bearer" | "basic"
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenges(values: list[str]) -> Challenge | None:
    """The challenge we can answer, bearer before basic; None when there is none."""
    found: dict[str, Challenge] = {}
    for value in values:
        for match in re.finditer(r"(?i)(?:^|,)\s*(bearer|basic)(?:\s+|$)", value):
            scheme = match[1].lower()
            rest = re.split(r"(?i),\s*(?:bearer|basic)\s", value[match.end() :])[0]
            parameters = {m[1].lower(): m[2] or m[3] or "" for m in _PARAMETER.finditer(rest)}
            found.setdefault(
                scheme,
                Challenge(
                    scheme,
                    parameters.get("realm", ""),
                    parameters.get("service", ""),
                    parameters.get("scope", ""),
                ),
            )
    return found.get("bearer") or found.get("basic")


class Authorizer:
    """Remembers one ``Authorization`` value per repository; thread-safe."""

    def __init__(self, http: BoundedHttp) -> None:
        self._http = http
        self._known: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def known(self, endpoint: Endpoint) -> str | None:
        with self._lock:
            return self._known.get((endpoint.host, endpoint.repository))

    def remember(self, endpoint: Endpoint, value: str | None) -> None:
        with self._lock:
            if value is None:
                self._known.pop((endpoint.host, endpoint.repository), None)
            else:
                self._known[(endpoint.host, endpoint.repository)] = value

    def answers(
        self, endpoint: Endpoint, challenge: Challenge, deadline: Deadline
    ) -> Iterator[str]:
        """``Authorization`` values to try, in order: with credentials, then anonymous.

        Raises RegistryAuth when the challenge can't be answered at all.
        """
        credentials = self._http.options.auth(endpoint.host)
        if challenge.scheme == "basic":
            if credentials is not None and credentials[0] != IDENTITY_USER:
                yield basic(credentials)
            return
        self._check_realm(endpoint, challenge)
        for candidate in [credentials, None] if credentials is not None else [None]:
            token = self._token(endpoint, challenge, candidate, deadline)
            if token is not None:
                yield f"Bearer {token}"

    def _check_realm(self, endpoint: Endpoint, challenge: Challenge) -> None:
        try:
            realm, host = urlsplit(challenge.realm), host_of(challenge.realm)
        except ValueError as err:
            raise RegistryAuth(f"{endpoint.host} names a malformed token server") from err
        plain = realm.scheme == "http" and self._http.options.is_plain_http(host)
        if (realm.scheme != "https" and not plain) or not host or "@" in realm.netloc:
            raise RegistryAuth(f"{endpoint.host} names a token server that is not https")
        # As if the registry had redirected us there: the same rules on private networks hold.
        self._http.check_hop(endpoint.base_url, endpoint.base_url, challenge.realm)

    def _token(
        self,
        endpoint: Endpoint,
        challenge: Challenge,
        credentials: Credentials | None,
        deadline: Deadline,
    ) -> str | None:
        """A token, or None when the token server refuses (these credentials)."""
        query = {"scope": challenge.scope or f"repository:{endpoint.repository}:pull"}
        if challenge.service:
            query["service"] = challenge.service
        url, form, authorization = challenge.realm, None, None
        if credentials is not None and credentials[0] == IDENTITY_USER:
            form = {
                **query,
                "grant_type": "refresh_token",
                "client_id": "crewship",
                "refresh_token": credentials[1],
            }
        else:
            url += ("&" if urlsplit(url).query else "?") + urlencode(query)
            authorization = basic(credentials) if credentials is not None else None
        with self._http.stream(
            url, {"Accept": "application/json"}, deadline, authorization=authorization, form=form
        ) as response:
            if response.status_code in (400, 401, 403, 404, 405):
                return None
            if response.status_code != 200:
                raise RegistryError(
                    f"The token server of {endpoint.host} answers {response.status_code}"
                )
            body = read_body(response, TOKEN_LIMIT, deadline)
        return _token_of(body, endpoint)


def basic(credentials: Credentials) -> str:
    text = f"{credentials[0]}:{credentials[1]}".encode()
    return f"Basic {base64.b64encode(text).decode()}"


def _token_of(body: bytes, endpoint: Endpoint) -> str:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    token = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else ""
    # A header value must stay one line of visible ASCII, or the HTTP layer would choke on it.
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise RegistryError(f"The token server of {endpoint.host} did not answer with a token")
    return token
