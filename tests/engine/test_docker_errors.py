from __future__ import annotations

import pytest
import requests
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
from crewship.engine.docker_errors import as_engine_error, engine_errors, pull_error

NAME = "ghcr.io/acme/base:1"


def api_error(status: int, text: str) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("failed", response=response, explanation=text)


# The messages are the engine's own, from its sources and from real answers.
@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("manifest for 127.0.0.1:5000/x:1 not found: manifest unknown", ImageNotFound),
        (
            "pull access denied for acme/x, repository does not exist or may require "
            "'docker login': denied: requested access to the resource is denied",
            ImageNotFound,
        ),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", ImageNotFound),
        (
            "image with reference x was found but does not match the specified platform: wanted "
            "linux/arm64, actual: linux/amd64",
            ImageNotFound,
        ),
        ("name unknown: repository name not known to registry", ImageNotFound),
        ('Get "https://ghcr.io/v2/acme/base/manifests/1": denied: denied', RegistryAuth),
        ("Get https://ghcr.io/v2/: unauthorized: authentication required", RegistryAuth),
        ('Head "http://127.0.0.1:5000/v2/x/manifests/1": no basic auth credentials', RegistryAuth),
        (
            "toomanyrequests: You have reached your pull rate limit. You may increase the limit",
            RegistryRateLimited,
        ),
        (
            "error parsing HTTP 429 response body: invalid character 'T': \"Too Many Requests\"",
            RegistryRateLimited,
        ),
        (
            'Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused',
            RegistryUnreachable,
        ),
        (
            'Get "https://no.invalid/v2/": dial tcp: lookup no.invalid: no such host',
            RegistryUnreachable,
        ),
        (
            'Get "https://x/v2/": net/http: request canceled while waiting for connection '
            "(Client.Timeout exceeded while awaiting headers)",
            RegistryUnreachable,
        ),
        ('Get "https://x/v2/": x509: certificate signed by unknown authority', RegistryUnreachable),
        (
            'Get "https://x/v2/": http: server gave HTTP response to HTTPS client',
            RegistryUnreachable,
        ),
        ('Get "https://x/v2/": net/http: TLS handshake timeout', RegistryUnreachable),
        ("received unexpected HTTP status: 503 Service Unavailable", RegistryUnreachable),
        ('Get "https://x/v2/": EOF', RegistryUnreachable),
        ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", DiskFull),
        ("filesystem layer verification failed for digest sha256:0", RegistryError),
    ],
)
def test_a_failed_pull_is_told_by_the_engines_words(
    message: str, expected: type[CrewshipError]
) -> None:
    found = pull_error(NAME, message, 500)
    assert type(found) is expected
    assert NAME in str(found)


def test_an_image_that_may_be_private_has_a_hint_on_login() -> None:
    found = pull_error(NAME, "pull access denied for x, repository does not exist", 404)
    assert "docker login" in found.error_hint


@pytest.mark.parametrize(
    ("status", "expected"),
    [(429, RegistryRateLimited), (401, RegistryAuth), (403, RegistryAuth), (404, ImageNotFound)],
)
def test_a_status_decides_where_the_words_do_not(
    status: int, expected: type[CrewshipError]
) -> None:
    assert type(pull_error(NAME, "no words", status)) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (api_error(404, "No such container: x"), ContainerGone),
        (api_error(409, "Container 0b6f is not running"), ContainerGone),
        (api_error(404, "No such image: x:1"), ImageNotFound),
        (api_error(409, 'The container name "/x" is already in use'), Conflict),
        (api_error(500, "max depth exceeded"), TooManyLayers),
        (api_error(500, "write /x: no space left on device"), DiskFull),
        (api_error(500, "something else"), EngineError),
        (requests.ConnectionError("refused"), EngineUnreachable),
        (requests.ReadTimeout("Read timed out."), EngineUnreachable),
        (PermissionError("permission denied"), EngineUnreachable),
        (DockerException("Error while fetching server API version: x"), EngineUnreachable),
        (DockerException("tls_hostname"), EngineError),
    ],
)
def test_a_failed_call_becomes_a_typed_error(
    error: Exception, expected: type[CrewshipError]
) -> None:
    assert type(as_engine_error(error, "trying")) is expected


def test_the_message_has_no_url_and_the_cause_is_kept() -> None:
    cause = api_error(500, "something else")
    with pytest.raises(EngineError) as caught, engine_errors("trying"):
        raise cause
    assert str(caught.value) == "The Docker engine failed while trying: something else"
    assert caught.value.__cause__ is cause


def test_our_own_errors_pass_untouched() -> None:
    with pytest.raises(Conflict), engine_errors("trying"):
        raise Conflict("ours")
