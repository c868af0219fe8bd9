"""Base images that a crew may well start from: a bundled list for the command line and the
dashboard. It limits nothing (``CREWSHIP_IMAGE_REGISTRIES`` does) and has no HTTP route.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

# Not from catalogs.entries: a list of nine lines must not wait for an HTTP client to load.
DATA: Final = Path(__file__).with_name("data") / "base_images.json"


@dataclass(frozen=True, slots=True)
class BaseImage:
    image: str  # what to write as "image"
    label: str
    description: str
    recommended: bool = False


@cache
def base_images() -> tuple[BaseImage, ...]:
    """The list in the order in which it is shown; exactly one image is recommended."""
    rows = json.loads(DATA.read_text(encoding="utf-8"))
    return tuple(BaseImage(**row) for row in rows)
