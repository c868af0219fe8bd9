"""Reading event streams in tests: frames of a response, within a bound of time."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from typing import Any

from asgiref.sync import async_to_sync
from django.test import AsyncClient

API = "/api/v1"
Frame = dict[str, Any]  # id, event, data (decoded), or comment


def frames_of(lines: Iterable[str]) -> Iterator[Frame]:
    """As the HTML standard reads them; a comment is a frame of its own here."""
    frame: Frame = {}
    for line in lines:
        if line.startswith(":"):
            yield {"comment": line[1:].strip()}
        elif line:
            name, _, value = line.partition(": ")
            frame[name] = json.loads(value) if name == "data" else value
        else:
            if "data" in frame:
                yield frame
            frame = {}


class Stream:
    """An open stream of the ASGI application in this process."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self._chunks: AsyncIterator[bytes] = aiter(response.streaming_content)
        self._ahead: list[Frame] = []

    async def next(self, within_s: float = 5) -> Frame | None:
        """The next frame; None when the stream has ended."""
        async with asyncio.timeout(within_s):
            while not self._ahead:
                chunk = await anext(self._chunks, None)
                if chunk is None:
                    return None
                self._ahead += frames_of(chunk.decode().splitlines())
        return self._ahead.pop(0)

    async def rest(self) -> list[Frame]:
        """All frames until the stream ends."""
        found = []
        while (frame := await self.next()) is not None:
            found.append(frame)
        return found

    async def close(self) -> None:
        """As when the client went away: nobody holds the generators any more."""
        await self._chunks.aclose()  # type: ignore[attr-defined]  # it is an async generator
        del self._chunks, self.response
        gc.collect()  # the test client ties its responses into a circle


async def open_stream(secret: str, path: str, **headers: str) -> Any:
    """The response; a Stream where it is one."""
    sent = {"authorization": f"Bearer {secret}", "accept": "text/event-stream", **headers}
    response = await AsyncClient(raise_request_exception=False).get(f"{API}{path}", headers=sent)
    return Stream(response) if response.streaming else response


def run(scenario: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What the coroutine returned. Views run in this thread, reads in the streams' own."""
    return async_to_sync(scenario)()
