"""Keys of Django's cache, of which parts come from requests."""

from __future__ import annotations

import hashlib
import re
from typing import Final

LONGEST: Final = 200
_PLAIN: Final = re.compile(r"[!-~]*")


def bounded_key(key: str, key_prefix: str, version: int) -> str:
    """``KEY_FUNCTION`` of the cache: a long or odd key is hashed.

    Whoever sends a long header does not fill Redis with it, and Django has no reason to warn of
    the key, which it would print.
    """
    made = f"{key_prefix}:{version}:{key}"
    if len(made) <= LONGEST and _PLAIN.fullmatch(made):
        return made
    return f"{key_prefix}:{version}:sha256-{hashlib.sha256(str(key).encode()).hexdigest()}"
