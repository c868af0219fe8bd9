from __future__ import annotations

from collections.abc import Iterator

import pytest

from crewship.engine.base import Engine, ImageConfig
from crewship.engine.docker import DockerEngine
from crewship.engine.fake import FakeEngine
from tests.engine import tiny_shell
from tests.engine.bench import Bench
from tests.engine.real import BASE_IMAGE, require_engine


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    engine = require_engine()
    yield engine
    engine.close()


@pytest.fixture
def fake_engine() -> FakeEngine:
    fake = FakeEngine()
    fake.add_image(BASE_IMAGE, ImageConfig(cmd=("/bin/sh",)))
    fake.on_exec(tiny_shell.answer)
    return fake


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def any_engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture
def bench(any_engine: Engine) -> Iterator[Bench]:
    """A bench on the fake and on the real engine."""
    made = Bench(any_engine)
    yield made
    made.clear()


@pytest.fixture
def docker_bench(docker_engine: DockerEngine) -> Iterator[Bench]:
    made = Bench(docker_engine)
    yield made
    made.clear()
