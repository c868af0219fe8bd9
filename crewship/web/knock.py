"""What wakes one waiting event stream (``crewship/web/sse.py``)."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from crewship.web.news import standing_topic


class Knock(asyncio.Event):
    """Set when its stream should look again."""

    def __init__(self, user: Hashable) -> None:
        super().__init__()
        self.standing = standing_topic(user)
        self.doubted = False  # whether the user still may is to be asked, too
