from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from crewship.domain.errors import RegistryRateLimited, RegistryUnreachable
from tests.registry.conftest import MakeClient
from tests.registry.server import Handler, ScriptedRegistry

URL = "https://registry.example/v2/acme/tool/manifests/1"
OK = httpx.Response(200, content=b"{}")


def in_turn(*answers: httpx.Response | Exception) -> Handler:
    left: Iterator[httpx.Response | Exception] = iter(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    return answer


def pull(client_of: MakeClient, **options: object) -> str:
    return client_of(**options).manifest("registry.example", "acme/tool", "1")[0]


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("cut short"),
        httpx.Response(503),
        httpx.Response(500),
    ],
)
def test_trouble_that_passes_is_not_seen(
    registry: ScriptedRegistry,
    make_client: MakeClient,
    slept: list[float],
    trouble: httpx.Response | Exception,
) -> None:
    registry.answers[URL] = in_turn(trouble, trouble, OK)
    pull(make_client)
    assert len(slept) == 2
    assert slept[0] < slept[1] * 2


def test_trouble_that_stays_is_unreachable_and_names_the_host(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers[URL] = in_turn(*[httpx.ConnectError("refused")] * 3)
    with pytest.raises(RegistryUnreachable, match=r"registry.example"):
        pull(make_client, retries=2)
    assert len(registry.requests) == 3


def test_retry_after_is_waited_for(
    registry: ScriptedRegistry, make_client: MakeClient, slept: list[float]
) -> None:
    registry.answers[URL] = in_turn(httpx.Response(429, headers={"retry-after": "7"}), OK)
    pull(make_client)
    assert slept == [7.0]


def test_a_retry_after_of_an_hour_is_reported_at_once(
    registry: ScriptedRegistry, make_client: MakeClient, slept: list[float]
) -> None:
    registry.answers[URL] = httpx.Response(429, headers={"retry-after": "3600"})
    with pytest.raises(RegistryRateLimited) as caught:
        pull(make_client)
    assert caught.value.extra == {"retry_after_s": 3600}
    assert slept == []


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "٣", "9" * 500])
def test_an_odd_retry_after_counts_as_none(
    registry: ScriptedRegistry, make_client: MakeClient, slept: list[float], text: str
) -> None:
    headers = [(b"retry-after", text.encode())]
    registry.answers[URL] = in_turn(httpx.Response(429, headers=headers), OK)
    pull(make_client)
    assert slept[0] < 1


def test_429_for_ever_ends_as_rate_limited(
    registry: ScriptedRegistry, make_client: MakeClient
) -> None:
    registry.answers[URL] = httpx.Response(429)
    with pytest.raises(RegistryRateLimited):
        pull(make_client)
    assert len(registry.requests) == 4


def test_no_wait_goes_beyond_the_total_time(
    registry: ScriptedRegistry, make_client: MakeClient, slept: list[float]
) -> None:
    registry.answers[URL] = httpx.Response(429, headers={"retry-after": "10"})
    with pytest.raises(RegistryRateLimited):
        pull(make_client, total_timeout_s=5)
    assert slept == []
