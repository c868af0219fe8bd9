"""Text that goes on while it is written: sent as it comes, under ASGI and WSGI."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

POLL_S: Final = 0.5
CHECK_S: Final = 30.0  # how long a caller who lost his right may go on reading

Portion = Callable[[], str | None]


def follow(
    request: HttpRequest, portion: Portion, still_allowed: Callable[[], bool]
) -> StreamingHttpResponse:
    """Plain text of what ``portion`` returns, call by call; "" says that there is nothing new now.

    It ends when ``portion`` returns None, when ``still_allowed`` says no (asked every CHECK_S), and
    when the client goes: under ASGI Django then cancels it.
    """
    source = _Source(portion, still_allowed)
    body = _async_body(source) if isinstance(request, ASGIRequest) else _sync_body(source)
    response = StreamingHttpResponse(body, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # nginx would keep it back
    return response


class _Source:
    def __init__(self, portion: Portion, still_allowed: Callable[[], bool]) -> None:
        self._portion = portion
        self._still_allowed = still_allowed
        self._check_at = time.monotonic() + CHECK_S

    def next(self) -> str | None:
        if time.monotonic() >= self._check_at:
            if not self._still_allowed():
                return None
            self._check_at = time.monotonic() + CHECK_S
        return self._portion()


async def _async_body(source: _Source) -> AsyncIterator[str]:
    following = sync_to_async(source.next)
    while (text := await following()) is not None:
        if text:
            yield text
        else:
            await asyncio.sleep(POLL_S)


def _sync_body(source: _Source) -> Iterator[str]:
    while (text := source.next()) is not None:
        if text:
            yield text
        else:
            time.sleep(POLL_S)
