"""What the SDK raises, turned into our typed errors: the one place that reads its texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3
from docker.errors import APIError, DockerException

from crewship.domain.errors import (
    Conflict,
    ContainerGone,
    CrewshipError,
    DiskFull,
    EngineError,
    EngineUnreachable,
    ImageNotFound,
    RegistryAuth,
    RegistryError,
    RegistryRateLimited,
    RegistryUnreachable,
    TooManyLayers,
)

# All that a call through the SDK may raise. OSError: the socket itself (a hijacked stream, a
# permission problem); requests' own errors are OSErrors too.
SDK_FAILURES = (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError)

_LOGIN_HINT = (
    "Check the image's name and tag. If it is private, log in to the registry on the "
    "provisioning host (docker login)."
)

# Searched in the engine's words (lower case), in this order: "pull access denied … repository
# does not exist" is about the name although it says "denied".
_RATE_LIMITED = ("toomanyrequests", "too many requests", "rate limit")
_NAME_OR_LOGIN = ("pull access denied", "repository does not exist")
_NETWORK = (
    "dial tcp",
    "no such host",
    "i/o timeout",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "no route to host",
    "tls:",
    "tls handshake",
    "x509:",
    "http response to https client",
    "deadline exceeded",
    "client.timeout",
    "unexpected eof",
    ": eof",
    "proxyconnect",
    "unexpected http status",
    "server misbehaving",
)
_NOT_FOUND = (
    "manifest unknown",
    "name unknown",
    "not found",
    "no matching manifest",
    "does not match the specified platform",
)
_AUTH = (
    "unauthorized",
    "authentication required",
    "no basic auth credentials",
    "denied",
    "forbidden",
    "incorrect username or password",
)


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """SDK failures inside the block leave it as EngineUnreachable, Conflict or an EngineError.

    ``doing`` completes the sentence "The Docker engine failed while …".
    """
    try:
        yield
    except SDK_FAILURES as err:
        raise as_engine_error(err, doing) from err


def as_engine_error(err: BaseException, doing: str) -> CrewshipError:
    """The typed error for one SDK failure."""
    if not isinstance(err, APIError) or err.status_code is None:
        return _no_answer(err, doing)
    text = explanation(err)
    low = text.lower()
    if "no space left on device" in low:
        return DiskFull(f"The Docker host's disk is full ({doing}).")
    if "no such image" in low:
        return ImageNotFound(f"The Docker host does not have the image: {text}")
    if "no such container" in low or "no such exec instance" in low:
        return ContainerGone(f"The container is gone ({doing}).")
    if "is not running" in low:
        return ContainerGone(f"The container does not run any more ({doing}).")
    if "max depth exceeded" in low:
        return TooManyLayers("The image has more layers than this Docker engine takes.")
    if err.status_code == 409:
        return Conflict(f"The Docker engine refused {doing}: {text}")
    return EngineError(f"The Docker engine failed while {doing}: {text}")


def _no_answer(err: BaseException, doing: str) -> CrewshipError:
    timed_out = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    if isinstance(err, timed_out) or "timed out" in str(err).lower():
        return EngineUnreachable(f"The Docker engine did not answer in time ({doing}).")
    gone = (requests.ConnectionError, urllib3.exceptions.HTTPError, OSError)
    # The version handshake wraps its cause into a bare DockerException.
    if isinstance(err, gone) or "server api version" in str(err).lower():
        return EngineUnreachable(f"The Docker engine does not answer ({doing}).")
    return EngineError(f"The Docker SDK failed while {doing}: {err}")


def explanation(err: APIError) -> str:
    """The engine's own sentence, without the SDK's status line and URL."""
    return str(err.explanation or err).strip()


def pull_error(reference: str, message: str, status: int | None = None) -> CrewshipError:
    """What a failed pull means: the image, the login, a limit, the registry, or the engine.

    ``message`` is the engine's text and ``status`` its HTTP status. The status alone tells little:
    the engine answers 500 for whatever a registry or the network did.
    """
    low = message.lower()

    def says(words: tuple[str, ...]) -> bool:
        return any(word in low for word in words)

    if "no space left on device" in low:
        return DiskFull(f"The Docker host's disk is full (pulling {reference}).")
    if status == 429 or says(_RATE_LIMITED):
        return RegistryRateLimited(f"The registry limits pulls of {reference} now: {message}")
    if says(_NAME_OR_LOGIN):
        return ImageNotFound(
            f"Image {reference} does not exist or is private: {message}", hint=_LOGIN_HINT
        )
    if says(_NETWORK):
        return RegistryUnreachable(f"The registry of {reference} cannot be reached: {message}")
    if says(_NOT_FOUND):
        return ImageNotFound(f"Image {reference} was not found: {message}")
    if status in (401, 403) or says(_AUTH):
        return RegistryAuth(f"The registry does not let this host read {reference}: {message}")
    if status == 404:
        return ImageNotFound(f"Image {reference} was not found: {message}")
    return RegistryError(f"Pulling {reference} failed: {message}")
