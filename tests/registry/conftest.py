"""Stores and clients for registry tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.options import RegistryOptions
from tests.registry.server import ScriptedRegistry, running_registry

MakeClient = Callable[..., OciClient]


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


@pytest.fixture
def registry() -> ScriptedRegistry:
    return ScriptedRegistry()


@pytest.fixture
def slept() -> list[float]:
    """The waits that the client made use of; nothing really sleeps."""
    return []


@pytest.fixture
def make_client(registry: ScriptedRegistry, slept: list[float]) -> Iterator[MakeClient]:
    """A client of the scripted registry; names resolve to a public address unless said."""
    made: list[OciClient] = []

    def make(addresses: dict[str, str] | None = None, **options: Any) -> OciClient:
        known = addresses or {}
        client = OciClient(
            RegistryOptions(**options),
            registry.transport,
            sleep=slept.append,
            resolver=lambda name: [known.get(name, "93.184.215.14")],
        )
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def registry_server(tmp_path: Path) -> Iterator[str]:
    """A real docker-registry; its ``127.0.0.1:<port>``."""
    with running_registry(tmp_path) as host:
        yield host
