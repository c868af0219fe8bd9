"""The installation of the integration tests, one a test module: these tests hurt it."""

from __future__ import annotations

from tests.integration.conftest import (  # noqa: F401  # fixtures are found by their names
    api,
    config,
    docker_client,
    image_registry,
    layout,
    slug,
    stack,
    stack_settings,
)
