"""Challenges, tokens, and where credentials go."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs

import httpx
import pytest

from crewship.domain.errors import RegistryAuth, RegistryError
from crewship.registry.challenge import Challenge, parse_challenges
from tests.registry.conftest import MakeClient
from tests.registry.server import Handler, ScriptedRegistry

URL = "https://registry.example/v2/acme/tool/manifests/1"
REALM = "https://auth.example/token"
BEARER = f'Bearer realm="{REALM}",service="registry.example",scope="repository:acme/tool:pull"'
BASIC = "Basic " + base64.b64encode(b"joe:secret").decode()


def auth(host: str) -> tuple[str, str] | None:
    return ("joe", "secret") if host == "registry.example" else None


def guarded(accepted: str, challenge: str = BEARER, status: int = 401) -> Handler:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") == accepted:
            return httpx.Response(200, content=b"{}")
        return httpx.Response(status, headers={"www-authenticate": challenge})

    return answer


def tokens(**by_authorization: str) -> Handler:
    """``anonymous`` and ``joe``: the token each gets; absent ones are refused."""

    def answer(request: httpx.Request) -> httpx.Response:
        who = "joe" if request.headers.get("authorization") == BASIC else "anonymous"
        if who not in by_authorization:
            return httpx.Response(401)
        return httpx.Response(200, json={"token": by_authorization[who]})

    return answer


def pull(client_of: MakeClient, **options: object) -> str:
    return client_of(**options).manifest("registry.example", "acme/tool", "1")[0]


def test_an_anonymous_token_is_fetched_as_the_challenge_says(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers |= {URL: guarded("Bearer t1"), REALM: tokens(anonymous="t1")}
    pull(make_client)
    query = parse_qs(registry.requests[1].url.query.decode())
    assert query == {"service": ["registry.example"], "scope": ["repository:acme/tool:pull"]}


def test_a_token_is_used_again_for_the_same_repository(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers |= {URL: guarded("Bearer t1"), REALM: tokens(anonymous="t1")}
    client = make_client()
    client.manifest("registry.example", "acme/tool", "1")
    client.manifest("registry.example", "acme/tool", "1")
    assert registry.authorizations("registry.example") == [None, "Bearer t1", "Bearer t1"]


def test_an_expired_token_is_replaced(registry: ScriptedRegistry, make_client: MakeClient) -> None:
    registry.answers |= {URL: guarded("Bearer t1"), REALM: tokens(anonymous="t1")}
    client = make_client()
    client.manifest("registry.example", "acme/tool", "1")
    registry.answers |= {URL: guarded("Bearer t2"), REALM: tokens(anonymous="t2")}
    client.manifest("registry.example", "acme/tool", "1")
    assert registry.authorizations("registry.example")[-2:] == ["Bearer t1", "Bearer t2"]


def test_credentials_go_to_the_realm_and_not_to_the_registry(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers |= {URL: guarded("Bearer t1"), REALM: tokens(joe="t1")}
    pull(make_client, auth=auth)
    assert registry.authorizations("auth.example") == [BASIC]
    assert registry.authorizations("registry.example") == [None, "Bearer t1"]


def test_refused_credentials_are_followed_by_an_anonymous_try(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers |= {URL: guarded("Bearer public"), REALM: tokens(anonymous="public")}
    pull(make_client, auth=auth)
    assert registry.authorizations("auth.example") == [BASIC, None]


def test_a_token_that_the_registry_refuses_is_followed_by_an_anonymous_try(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers |= {
        URL: guarded("Bearer public"),
        REALM: tokens(joe="useless", anonymous="public"),
    }
    pull(make_client, auth=auth)
    assert registry.authorizations("registry.example") == [None, "Bearer useless", "Bearer public"]


def test_an_identity_token_is_exchanged_by_post(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    def exchange(request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        assert form["refresh_token"] == ["identity"]
        assert form["grant_type"] == ["refresh_token"]
        return httpx.Response(200, json={"access_token": "t1"})

    registry.answers |= {URL: guarded("Bearer t1"), REALM: exchange}
    pull(make_client, auth=lambda _host: ("<token>", "identity"))
    assert [request.method for request in registry.requests] == ["GET", "POST", "GET"]


def test_basic_is_answered_with_the_hosts_credentials(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers[URL] = guarded(BASIC, 'Basic realm="x"')
    pull(make_client, auth=auth)
    assert registry.authorizations("registry.example") == [None, BASIC]


@pytest.mark.parametrize("status", [401, 403])
def test_a_loop_of_refusals_ends_after_each_way_was_tried_once(
    registry: ScriptedRegistry, make_client: MakeClient, status: int
) -> None:
    registry.answers |= {
        URL: guarded("never", status=status),
        REALM: tokens(joe="t1", anonymous="t2"),
    }
    with pytest.raises(RegistryAuth, match=r"registry.example/acme/tool:1"):
        pull(make_client, auth=auth)
    assert len(registry.requests) == 5


def test_a_refusal_without_challenge_is_final(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers[URL] = httpx.Response(403)
    with pytest.raises(RegistryAuth):
        pull(make_client, auth=auth)
    assert len(registry.requests) == 1


@pytest.mark.parametrize(
    "realm",
    [
        "http://auth.example/token",
        "ftp://auth.example/",
        "file:///etc/passwd",
        "//auth.example/token",
        "https://joe:pw@auth.example/token",
        "https://",
        "https://[",
        "",
    ],
)
def test_a_token_server_that_is_not_https_gets_nothing(
    registry: ScriptedRegistry, make_client: MakeClient, realm: str
) -> None:
    registry.answers[URL] = guarded("never", f'Bearer realm="{realm}"')
    with pytest.raises(RegistryAuth):
        pull(make_client, auth=auth)
    assert len(registry.requests) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "fd00::1"])
def test_a_public_registry_cannot_name_a_private_token_server(
    registry: ScriptedRegistry, make_client: MakeClient, address: str
) -> None:
    registry.answers[URL] = guarded("Bearer t1")
    with pytest.raises(RegistryError, match="private network"):
        pull(make_client, auth=auth, addresses={"auth.example": address})
    assert registry.authorizations("auth.example") == []


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"token": 5}', b'{"token": "a\\r\\nX: y"}'])
def test_a_token_server_must_answer_with_a_token(
    registry: ScriptedRegistry, make_client: MakeClient, body: bytes
) -> None:
    registry.answers |= {URL: guarded("never"), REALM: httpx.Response(200, content=body)}
    with pytest.raises(RegistryError, match="token"):
        pull(make_client)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([BEARER], Challenge("bearer", REALM, "registry.example", "repository:acme/tool:pull")),
        (['bearer realm="r",scope="a:b:pull,push"'], Challenge("bearer", "r", "", "a:b:pull,push")),
        (["Basic realm=x"], Challenge("basic", "x")),
        (["Basic"], Challenge("basic")),
        (['Basic realm="x", Bearer realm="y"'], Challenge("bearer", "y")),
        (["Basic realm=x", 'Bearer realm="y"'], Challenge("bearer", "y")),
        (["Negotiate"], None),
        ([], None),
    ],
)
def test_challenges_are_read(values: list[str], expected: Challenge | None) -> None:
    assert parse_challenges(values) == expected
