"""Pull manifests and blobs over the OCI distribution protocol, always verified.

``OciClient`` reads from a registry, its mirror, or a layout directory, as ``RegistryOptions`` say;
the caller sees no difference. It is thread-safe and knows nothing of features.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self, TypeVar

import httpx

from crewship.domain.errors import (
    DigestMismatch,
    RegistryAuth,
    RegistryError,
    RegistryNotFound,
    RegistryUnreachable,
)
from crewship.registry.blobs import BlobStore
from crewship.registry.challenge import Authorizer, parse_challenges
from crewship.registry.deadline import Deadline
from crewship.registry.digests import digest_of, is_digest, require_digest
from crewship.registry.http import (
    BoundedHttp,
    Resolver,
    TooLarge,
    addresses_of,
    host_of,
    iter_body,
    origin_of,
    read_body,
)
from crewship.registry.layout import OciLayout
from crewship.registry.options import BLOB_LIMIT, MANIFEST_LIMIT, Endpoint, RegistryOptions

__all__ = ["OciClient", "RegistryOptions"]

T = TypeVar("T")
log = logging.getLogger(__name__)

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ABSENT = (RegistryUnreachable, RegistryNotFound, RegistryAuth)  # a fallback may have it
BLOB_TYPES = "application/octet-stream, */*"


class OciClient:
    """One set of options, one pool of connections, one memory of tokens."""

    def __init__(
        self,
        options: RegistryOptions,
        transport: httpx.BaseTransport | None = None,
        *,
        sleep: Callable[[float], None] | None = None,
        resolver: Resolver = addresses_of,
        cancel: Event | None = None,
    ) -> None:
        """``cancel``, once set, ends whatever is under way within a second, by BuildCancelled."""
        self._options = options
        self._http = BoundedHttp(options, transport, sleep=sleep, resolver=resolver, cancel=cancel)
        self._authorizer = Authorizer(self._http)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def manifest(self, registry: str, repository: str, reference: str) -> tuple[str, bytes, str]:
        """(digest, bytes, media type) of what a tag or digest names now.

        The digest is computed from the bytes; it equals the asked one, and the registry's
        Docker-Content-Digest header where there is one. Raises RegistryNotFound, RegistryAuth,
        RegistryRateLimited, RegistryUnreachable, DigestMismatch, RegistryError.
        """
        local = self._options.layout(registry, repository)
        if local is not None:
            layout, path = _opened(local, registry, repository)
            return layout.manifest(path, reference)
        return self._or_instead(
            registry,
            repository,
            lambda: self._manifest(registry, repository, reference),
            lambda layout, path: layout.manifest(path, reference),
        )

    def _manifest(self, registry: str, repository: str, reference: str) -> tuple[str, bytes, str]:
        def consume(response: httpx.Response, deadline: Deadline) -> tuple[str, bytes, str]:
            body = read_body(response, MANIFEST_LIMIT, deadline)
            media_type = response.headers.get("content-type", "").partition(";")[0].strip()
            found = digest_of(body)
            claimed = response.headers.get("docker-content-digest", found)
            wanted = reference if is_digest(reference) else found
            # A tag's claim in another algorithm is not checked: the computed one stands.
            if found != wanted or (claimed != found and claimed.startswith("sha256:")):
                raise DigestMismatch(
                    f"The manifest {registry}/{repository} {reference} is {found}, "
                    f"not {wanted if found != wanted else claimed[:80]}"
                )
            return found, body, media_type

        what = f"{registry}/{repository}{'@' if is_digest(reference) else ':'}{reference}"
        endpoint = self._options.endpoint(registry, repository)
        return self._get(
            endpoint, f"manifests/{reference}", ", ".join(MANIFEST_TYPES), what, consume
        )

    def digest(self, registry: str, repository: str, reference: str) -> str:
        """The digest that a tag names now, by what the registry says of it (a HEAD, which counts
        against no pull limit) or, where it says nothing, by the manifest. Errors as ``manifest``.
        """
        if self._options.layout(registry, repository) is None:
            said = self._or_instead(
                registry,
                repository,
                lambda: self._said_digest(registry, repository, reference),
                lambda layout, path: layout.manifest(path, reference)[0],
            )
            if is_digest(said):
                return said
        return self.manifest(registry, repository, reference)[0]

    def _said_digest(self, registry: str, repository: str, reference: str) -> str:
        def consume(response: httpx.Response, deadline: Deadline) -> str:
            return str(response.headers.get("docker-content-digest", ""))

        return self._get(
            self._options.endpoint(registry, repository),
            f"manifests/{reference}",
            ", ".join(MANIFEST_TYPES),
            f"{registry}/{repository}:{reference}",
            consume,
            method="HEAD",
        )

    def blob(self, registry: str, repository: str, digest: str, size: int, into: BlobStore) -> Path:
        """The blob's file in ``into``, verified; downloaded only when it isn't there.

        Raises TooLarge (before asking) for a size over BLOB_LIMIT, and the errors of
        ``manifest``; DigestMismatch also when what comes is not ``size`` bytes long.
        """
        require_digest(digest)
        if not 0 <= size <= BLOB_LIMIT:
            raise TooLarge(f"{registry}/{repository} {digest} has {size} bytes: not accepted here")
        present = into.find(digest)
        if present is not None and present.stat().st_size == size:
            return present
        local = self._options.layout(registry, repository)
        if local is not None:
            return _opened(local, registry, repository)[0].blob(digest, size, into)
        return self._or_instead(
            registry,
            repository,
            lambda: self._blob(registry, repository, digest, size, into),
            lambda layout, _path: layout.blob(digest, size, into),
        )

    def _blob(
        self, registry: str, repository: str, digest: str, size: int, into: BlobStore
    ) -> Path:
        def consume(response: httpx.Response, deadline: Deadline) -> Path:
            try:
                return into.write(digest, iter_body(response, size, deadline), size=size)
            except TooLarge as err:
                raise DigestMismatch(f"{registry} sent more than {size} bytes of {digest}") from err

        what = f"{registry}/{repository}@{digest}"
        endpoint = self._options.endpoint(registry, repository)
        return self._get(endpoint, f"blobs/{digest}", BLOB_TYPES, what, consume)

    def _or_instead(
        self,
        registry: str,
        repository: str,
        ask: Callable[[], T],
        read: Callable[[OciLayout, str], T],
    ) -> T:
        """What the registry answers, or its fallback where it has none."""
        try:
            return ask()
        except ABSENT as err:
            local = self._options.fallback(registry, repository)
            if local is None:
                raise
            try:
                found = read(*_opened(local, registry, repository))
            except RegistryNotFound:
                raise err from None
            log.info("%s/%s comes from the bundled copy: %s", registry, repository, err)
            return found

    def _get(
        self,
        endpoint: Endpoint,
        path: str,
        accept: str,
        what: str,
        consume: Callable[[httpx.Response, Deadline], T],
        method: str = "GET",
    ) -> T:
        url = f"{endpoint.base_url}/v2/{endpoint.repository}/{path}"
        deadline = self._http.deadline()
        return self._http.retrying(
            lambda: self._authorised(endpoint, url, accept, what, deadline, consume, method),
            endpoint.host,
            deadline,
        )

    def _authorised(
        self,
        endpoint: Endpoint,
        url: str,
        accept: str,
        what: str,
        deadline: Deadline,
        consume: Callable[[httpx.Response, Deadline], T],
        method: str,
    ) -> T:
        """One exchange: as we are, then (once each) with credentials and with none."""
        authorization = self._authorizer.known(endpoint)
        answers = None
        while True:
            with self._http.stream(
                url, {"Accept": accept}, deadline, authorization=authorization, method=method
            ) as response:
                refused = response.status_code in (401, 403)
                if not refused:
                    _check(response, what)
                    if authorization is not None:
                        self._authorizer.remember(endpoint, authorization)
                    return consume(response, deadline)
                status = response.status_code
                ours = origin_of(str(response.url)) == origin_of(endpoint.base_url)
                challenges = response.headers.get_list("www-authenticate")
                asked_by = host_of(str(response.url))
            self._authorizer.remember(endpoint, None)
            if not ours:
                raise RegistryAuth(f"{what}: {asked_by} refuses what {endpoint.host} redirects to")
            if answers is None:
                challenge = parse_challenges(challenges)
                if challenge is None:
                    raise RegistryAuth(_refusal(what, status))
                answers = self._authorizer.answers(endpoint, challenge, deadline)
            authorization = next(answers, None)
            if authorization is None:
                raise RegistryAuth(_refusal(what, status))


def _opened(local: tuple[Path, str], registry: str, repository: str) -> tuple[OciLayout, str]:
    root, path = local
    return OciLayout(root, f"{registry}/{repository}".removesuffix(f"/{path}")), path


def _refusal(what: str, status: int) -> str:
    return f"{what} is private or does not exist: the registry answers {status}"


def _check(response: httpx.Response, what: str) -> None:
    if response.status_code == 404:
        raise RegistryNotFound(f"{what} does not exist")
    if response.status_code != 200:
        raise RegistryError(f"{what}: the registry answers {response.status_code}")
