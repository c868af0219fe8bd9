"""One request to the save route, and what is known of its answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Target(StrEnum):
    NEW = "POST /crews"
    BARE = "PATCH of a crew with nothing"
    FULL = "PATCH of a crew with all texts"


@dataclass(frozen=True)
class Case:
    """``accepted`` is None where either answer is right; ``code`` must be among the answer's
    errors or warnings unless it is ""."""

    name: str
    target: Target
    body: bytes
    accepted: bool | None = None
    code: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.target}"


def body_of(fields: Any, ascii_only: bool = True) -> bytes:
    return json.dumps(fields, ensure_ascii=ascii_only).encode()
