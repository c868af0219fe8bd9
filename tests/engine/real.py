"""The real engine for tests that need one: they fail, not skip, when the machine lacks it."""

from __future__ import annotations

import gc
import warnings

import pytest

from crewship.domain.errors import EngineUnreachable
from crewship.engine.docker import DockerEngine

BASE_IMAGE = "debian:bookworm-slim"


def require_engine() -> DockerEngine:
    """An engine that answers and has the base image; else the test fails with one line."""
    engine = DockerEngine.from_environment()
    trouble = _trouble(engine)
    if trouble:
        pytest.fail(trouble, pytrace=False)
    return engine


def _trouble(engine: DockerEngine) -> str:
    with warnings.catch_warnings():
        # The SDK forgets to close a socket that it could not connect.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            present = engine.image(BASE_IMAGE) is not None
        except EngineUnreachable:
            return "no Docker engine answers: run `make setup` as root"
        finally:
            gc.collect()
    return "" if present else f"the image {BASE_IMAGE} is missing: run `make setup`"
