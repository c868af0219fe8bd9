"""The bundled list of runtimes that mise can install; the fallback of the runtime catalog."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

BUNDLED = Path(__file__).with_name("data") / "runtimes.json"


@cache
def default_versions() -> Mapping[str, str]:
    """What is installed for a mise tool that a crew names with an empty version; a tool that is
    not in here gets ``latest``."""
    entries = json.loads(BUNDLED.read_text())
    return {e["tool"]: e["default_version"] for e in entries if e["default_version"]}
