"""``sha256:<64 hex>``: the only kind of digest that this product accepts."""

from __future__ import annotations

import hashlib
import re

from crewship.domain.errors import DigestMismatch

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def require_digest(text: str) -> str:
    """``text`` when it is a digest; DigestMismatch otherwise (other algorithms are not verified
    here, so they are not accepted)."""
    if not is_digest(text):
        raise DigestMismatch(f"{text[:100]!r} is no sha256 digest")
    return text
