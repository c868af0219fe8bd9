from __future__ import annotations

from pathlib import Path

import pytest

from tests.provisioning.pipeline.kit import Kit


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    mise = tmp_path / "mise"
    mise.write_bytes(b"\x7fELF the mise binary")
    kit = Kit(mise)
    kit.features.publish("one:1", options={"size": {"type": "string", "default": "s"}})
    kit.features.publish("two:1", options={"version": {"type": "string", "default": "latest"}})
    kit.features.publish("three:1")
    return kit
