from __future__ import annotations

import httpx
import pytest

from crewship.domain.errors import RegistryAuth, RegistryError
from crewship.registry.blobs import BlobStore
from tests.registry.conftest import MakeClient
from tests.registry.server import ScriptedRegistry, digest

DATA = b"data"
PATH = f"/v2/acme/tool/blobs/{digest(DATA)}"
URL = f"https://registry.example{PATH}"
CDN = "https://cdn.example/file"


def moved(location: str) -> httpx.Response:
    return httpx.Response(307, headers={"location": location})


def fetch(client_of: MakeClient, blobs: BlobStore, host: str = "registry.example", **more: object):
    return client_of(**more).blob(host, "acme/tool", digest(DATA), len(DATA), blobs)


def test_authorization_stays_with_the_registry(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    def guarded(request: httpx.Request) -> httpx.Response:
        if "authorization" in request.headers:
            return moved(CDN)
        return httpx.Response(401, headers={"www-authenticate": "Basic"})

    registry.answers |= {URL: guarded, CDN: httpx.Response(200, content=DATA)}
    path = fetch(make_client, blobs, auth=lambda _host: ("joe", "secret"))
    assert path.read_bytes() == DATA
    assert registry.authorizations("cdn.example") == [None]


def test_authorization_stays_with_the_port_too(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    other = "https://registry.example:8443/file"

    def guarded(request: httpx.Request) -> httpx.Response:
        if "authorization" in request.headers:
            return moved(other)
        return httpx.Response(401, headers={"www-authenticate": "Basic"})

    registry.answers |= {URL: guarded, other: httpx.Response(200, content=DATA)}
    fetch(make_client, blobs, auth=lambda _host: ("joe", "secret"))
    assert registry.requests[-1].headers.get("authorization") is None


def test_a_challenge_by_a_redirects_target_gets_no_credentials(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    asks = httpx.Response(401, headers={"www-authenticate": 'Basic realm="give"'})
    registry.answers |= {URL: moved(CDN), CDN: asks}
    with pytest.raises(RegistryAuth, match=r"cdn.example"):
        fetch(make_client, blobs, auth=lambda _host: ("joe", "secret"))
    assert [r.headers.get("authorization") for r in registry.requests] == [None, None]


def test_a_relative_redirect_is_followed(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    registry.answers |= {
        URL: moved("/elsewhere"),
        "https://registry.example/elsewhere": httpx.Response(200, content=DATA),
    }
    assert fetch(make_client, blobs).read_bytes() == DATA


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://cdn.example/x", "https://[", "http://cdn.example/x",
     "gopher://x", "https://a:99999/"],
)  # fmt: skip
def test_other_schemes_and_plain_http_are_not_followed(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore, location: str
) -> None:
    registry.answers[URL] = moved(location)
    with pytest.raises(RegistryError, match=r"registry.example"):
        fetch(make_client, blobs)
    assert len(registry.requests) == 1


@pytest.mark.parametrize(
    "target",
    ["https://127.0.0.1/x", "https://10.1.2.3/x", "https://[::1]/x", "https://169.254.169.254/x",
     "https://[::ffff:10.0.0.1]/x", "https://inside.example/x", "http://localhost:6379/x",
     "https://0.0.0.0/x"],
)  # fmt: skip
def test_a_public_registry_cannot_send_us_into_a_private_network(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore, target: str
) -> None:
    registry.answers[URL] = moved(target)
    names = {"inside.example": "192.168.1.9", "localhost": "127.0.0.1"}
    with pytest.raises(RegistryError, match="private network"):
        fetch(make_client, blobs, addresses=names)
    assert len(registry.requests) == 1


def test_a_configured_private_host_may_be_redirected_to(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    target = "http://10.1.2.3:9000/x"
    registry.answers |= {URL: moved(target), target: httpx.Response(200, content=DATA)}
    path = fetch(make_client, blobs, plain_http=frozenset({"10.1.2.3:9000"}))
    assert path.read_bytes() == DATA


def test_a_private_registry_may_redirect_within_the_private_network(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    target = "http://127.0.0.1:9000/x"
    registry.answers |= {
        f"http://localhost:5000{PATH}": moved(target),
        target: httpx.Response(200, content=DATA),
    }
    path = fetch(make_client, blobs, "localhost:5000", addresses={"localhost": "127.0.0.1"})
    assert path.read_bytes() == DATA


def test_a_private_registry_cannot_redirect_to_the_cloud_metadata_address(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    registry.answers[f"http://localhost:5000{PATH}"] = moved("http://169.254.169.254/x")
    with pytest.raises(RegistryError):
        fetch(make_client, blobs, "localhost:5000", addresses={"localhost": "127.0.0.1"})
    assert len(registry.requests) == 1


def test_a_ring_of_redirects_ends(
    registry: ScriptedRegistry, make_client: MakeClient, blobs: BlobStore
) -> None:
    registry.answers[URL] = moved(URL)
    with pytest.raises(RegistryError, match="redirects more than"):
        fetch(make_client, blobs)
