"""One installation for all integration tests, on the real engine, with tiny features."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.engine.real import require_engine
from tests.registry.server import running_registry
from tests.stack.features import NAMESPACE, pack_test_features
from tests.stack.server import Api, Stack, running_stack

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    require_engine().close()
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="session")
def image_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real docker-registry; ``127.0.0.1:<port>``."""
    with running_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_test_features(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="session")
def stack_settings(layout: Path, image_registry: str) -> dict[str, str]:
    return {
        "CREWSHIP_FEATURE_LAYOUTS": f"{NAMESPACE}={layout}",
        "CREWSHIP_FEATURE_PUBLISHERS": f"+{image_registry}/crew",
        "CREWSHIP_IMAGE_REGISTRIES": f"+{image_registry},127.0.0.1:1",
    }


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    stack_settings: dict[str, str],
    docker_client: docker.DockerClient,
) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), stack_settings) as running:
        yield running


@pytest.fixture(scope="session")
def api(stack: Stack) -> Api:
    return stack.bootstrap()


@pytest.fixture
def config() -> Callable[..., dict[str, Any]]:
    """A config that no other test has: ``config(features={...})``."""

    def make(**parts: Any) -> dict[str, Any]:
        env = {"NONCE": uuid.uuid4().hex, **parts.pop("containerEnv", {})}
        return {"image": "debian:bookworm-slim", "containerEnv": env, **parts}

    return make


@pytest.fixture
def slug() -> str:
    return f"crew-{next(_numbers)}"
