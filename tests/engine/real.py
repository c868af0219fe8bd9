"""The real engine for tests that need one: they fail, not skip, when the machine lacks it."""

from __future__ import annotations

import pytest

from crewship.domain.errors import EngineUnreachable
from crewship.engine.docker import DockerEngine

BASE_IMAGE = "debian:bookworm-slim"


def require_engine() -> DockerEngine:
    """An engine that answers and has the base image; else the test fails with one line."""
    engine = DockerEngine.from_environment()
    try:
        present = engine.image(BASE_IMAGE) is not None
    except EngineUnreachable:
        pytest.fail("no Docker engine answers: run `make setup` as root", pytrace=False)
    if not present:
        pytest.fail(f"the image {BASE_IMAGE} is missing: run `make setup`", pytrace=False)
    return engine
