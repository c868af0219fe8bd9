"""Bounded HTTP: every request has time-outs, a size limit, counted retries and careful redirects.

Redirects are followed by hand, because three things must hold that no client does by itself:
- ``Authorization`` is sent only to the origin (scheme, host, port) it was made for;
- only http and https are followed, and never from https down to http, unless the new host is
  loopback or in ``plain_http``;
- a public host cannot send us into a private network: a hop to another host whose addresses are
  loopback, private or link-local is refused, unless the operator configured that host (mirror,
  ``plain_http``) or the request began on such an address itself. Link-local addresses (cloud
  metadata) always need to be configured. A name that resolves otherwise between this check and
  the connection is not caught; a firewall is for that.
Proxies come from the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).
"""

from __future__ import annotations

import ipaddress
import logging
import random
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import httpx

from crewship.domain.errors import RegistryError, RegistryRateLimited, RegistryUnreachable
from crewship.registry.deadline import Deadline, current_deadline, within
from crewship.registry.options import RegistryOptions, host_name
from crewship.registry.sockets import NAME_S, keep_deadlines, look_up

T = TypeVar("T")

MAX_REDIRECTS = 5
MAX_RETRY_AFTER_S = 20.0  # a registry that wants more gets its error shown instead
BACKOFF_S = 0.3  # doubled each time, with jitter
USER_AGENT = "crewship/0.1"
RETRIED_STATUSES = frozenset({408, 500, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})

# httpx logs whole URLs at INFO; they can hold signatures and an npm registry's password.
logging.getLogger("httpx").setLevel(logging.WARNING)

Resolver = Callable[[str], list[str]]


class TooLarge(RegistryError):
    code = "registry_too_large"
    hint = "What the registry sent is larger than this service accepts."


class _TryAgain(Exception):
    """An answer that may be better next time; ``error`` is raised when there is no next time."""

    def __init__(self, error: RegistryError, retry_after_s: float | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after_s = retry_after_s


def addresses_of(name: str) -> list[str]:
    """All addresses of a host name; empty when it doesn't resolve here (a proxy may do it)."""
    deadline = current_deadline()
    try:
        found = look_up(name, deadline.left_s if deadline else NAME_S)
    except (OSError, UnicodeError):
        return []
    return [address.partition("%")[0] for address in found]


class BoundedHttp:
    """A thread-safe HTTP client for one set of options. ``close`` ends its connections."""

    def __init__(
        self,
        options: RegistryOptions,
        transport: httpx.BaseTransport | None = None,
        *,
        sleep: Callable[[float], None] | None = None,
        resolver: Resolver = addresses_of,
        cancel: Event | None = None,
    ) -> None:
        self.options = options
        self._cancel = cancel
        self._sleep = sleep
        self._resolver = resolver
        self._client = httpx.Client(
            transport=transport,
            verify=_tls_context(options),
            follow_redirects=False,
            timeout=httpx.Timeout(options.read_timeout_s, connect=options.connect_timeout_s),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )
        keep_deadlines(self._client)

    def close(self) -> None:
        self._client.close()

    def deadline(self) -> Deadline:
        """For one operation with all its tries; it ends sooner when the client is cancelled."""
        return Deadline(self.options.total_timeout_s, self._cancel)

    def retrying(self, attempt: Callable[[], T], host: str, deadline: Deadline) -> T:
        """What ``attempt`` returns, after at most ``retries`` further tries.

        Raises RegistryUnreachable for resets, time-outs and 5xx, RegistryRateLimited for 429.
        """
        for tries_left in range(self.options.retries, -1, -1):
            deadline.check(host)
            wait_s = None
            try:
                return attempt()
            except httpx.TransportError as err:
                error: RegistryError = RegistryUnreachable(f"{host}: {_reason(err)}")
                cause: Exception = err
            except _TryAgain as err:
                error, cause, wait_s = err.error, err, err.retry_after_s
            if wait_s is None:
                done = self.options.retries - tries_left
                wait_s = BACKOFF_S * 2**done * (1 + random.random())  # noqa: S311  # jitter
            if tries_left == 0 or wait_s > min(MAX_RETRY_AFTER_S, deadline.left_s):
                raise error from cause
            (self._sleep or deadline.pause)(wait_s)
        raise AssertionError("unreachable: the last try returns or raises")

    @contextmanager
    def stream(  # the arguments are the request
        self,
        url: str,
        headers: Mapping[str, str],
        deadline: Deadline,
        *,
        authorization: str | None = None,
        form: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> Iterator[httpx.Response]:
        """The final answer to a GET or HEAD; with ``form`` to a POST, which follows no redirect.
        Whatever is waited for inside the block keeps to the deadline."""
        with within(deadline):
            yield from self._hops(url, headers, deadline, authorization, form, method)

    def _hops(
        self,
        url: str,
        headers: Mapping[str, str],
        deadline: Deadline,
        authorization: str | None,
        form: Mapping[str, str] | None,
        method: str,
    ) -> Iterator[httpx.Response]:
        origin = current = url
        for _hop in range(MAX_REDIRECTS + 1):
            deadline.check(host_of(current))
            request = self._client.build_request(
                method if form is None else "POST", current, headers=dict(headers), data=form
            )
            if authorization is not None and origin_of(current) == origin_of(origin):
                request.headers["Authorization"] = authorization
            response = self._client.send(request, stream=True)
            try:
                if response.status_code not in REDIRECTS or form is not None:
                    _raise_if_worth_a_retry(response, host_of(current))
                    yield response
                    return
                location = response.headers.get("location", "")
            finally:
                response.close()
            current = self.check_hop(origin, current, location)
        raise RegistryError(f"{host_of(origin)} redirects more than {MAX_REDIRECTS} times")

    def check_hop(self, origin: str, current: str, location: str) -> str:
        """The URL that ``location`` means at ``current``, when it may be asked (see above)."""
        try:
            # Through httpx's parser, so that what is checked is what will be asked.
            target = str(httpx.URL(urljoin(current, location)))
            old, new = urlsplit(current), urlsplit(target)
            _ = new.port
        except (ValueError, httpx.InvalidURL) as err:
            raise RegistryError(f"{host_of(current)} leads to a malformed URL") from err
        host = host_of(target)
        if new.scheme not in ("http", "https") or not host:
            raise RegistryError(f"{host_of(current)} leads to something that is no web address")
        if old.scheme == "https" and new.scheme == "http" and not self.options.is_plain_http(host):
            raise RegistryError(f"{host_of(current)} leads from https to plain http ({host})")
        if host == host_of(current) or self.options.is_configured(host):
            return target
        reach = self._reach(host)
        if reach == "link-local" or (
            reach == "private" and self._reach(host_of(origin)) != "private"
        ):
            raise RegistryError(f"{host_of(current)} leads into a private network ({host})")
        return target

    def _reach(self, host: str) -> str:
        name = host_name(host)
        try:
            found = [ipaddress.ip_address(name)]
        except ValueError:
            found = [ipaddress.ip_address(text) for text in self._resolver(name)]
        plain = [getattr(ip, "ipv4_mapped", None) or ip for ip in found]
        if any(ip.is_link_local or ip.is_multicast or ip.is_unspecified for ip in plain):
            return "link-local"
        return "private" if any(not ip.is_global for ip in plain) else "public"


def read_body(response: httpx.Response, limit: int, deadline: Deadline) -> bytes:
    """The whole body; TooLarge beyond ``limit`` bytes."""
    return b"".join(iter_body(response, limit, deadline))


def iter_body(response: httpx.Response, limit: int, deadline: Deadline) -> Iterator[bytes]:
    """The body as sent (no Content-Encoding is undone), at most ``limit`` bytes of it."""
    host, seen = host_of(str(response.url)), 0
    for chunk in response.iter_raw():  # as it arrives: a chunk size would wait to fill it
        deadline.check(host)
        seen += len(chunk)
        if seen > limit:
            raise TooLarge(f"{host} sent more than the {limit} bytes that are accepted here")
        yield chunk


def host_of(url: str) -> str:
    """Host and port of a URL without any user info: fit for messages."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def origin_of(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


def _raise_if_worth_a_retry(response: httpx.Response, host: str) -> None:
    status = response.status_code
    if status != 429 and status not in RETRIED_STATUSES:
        return
    text = response.headers.get("retry-after", "")
    # A date is legal too, but no registry sends one; it counts as absent.
    wait_s = float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    error: RegistryError = RegistryUnreachable(f"{host} answers {status}")
    if status == 429:
        extra = {} if wait_s is None else {"retry_after_s": int(wait_s)}
        error = RegistryRateLimited(f"{host} refuses more requests for now", extra=extra)
    raise _TryAgain(error, wait_s)


def _reason(err: httpx.TransportError) -> str:
    if isinstance(err, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(err, httpx.TimeoutException):
        return "no answer in time"
    return f"connection failed ({err})" if str(err) else "connection failed"


def _tls_context(options: RegistryOptions) -> ssl.SSLContext:
    context = ssl.create_default_context()  # honours SSL_CERT_FILE and SSL_CERT_DIR
    if options.ca_bundle is not None:
        context.load_verify_locations(cafile=str(options.ca_bundle))
    return context
