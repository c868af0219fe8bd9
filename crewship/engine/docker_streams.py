"""Endless answers of the engine (events, pulls), read so that a caller can leave at once."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from docker.types.daemon import CancellableStream

from crewship.engine.docker_errors import SDK_FAILURES

POLL_S = 0.15  # how soon a set ``cancel`` is seen

Item = dict[str, Any]  # Any: one JSON object as the engine wrote it
OpenStream = Callable[[], Iterator[Item]]


class StreamReader:
    """Reads one blocking stream in a daemon thread; iterate to get its items.

    The iteration ends when the stream ends or ``cancel`` is set, and raises what the SDK raised.
    The SDK has no time-out for streams, and opening one may block too (a pull answers only when
    the registry did), so only a thread can be left behind: it closes its stream when the engine
    next says something, or at once where the SDK can shut the socket down.
    """

    def __init__(self, open_stream: OpenStream, cancel: threading.Event) -> None:
        self._open_stream = open_stream
        self._cancel = cancel
        self._left = threading.Event()
        self._items: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()
        self._stream: Iterator[Item] | None = None
        self._thread = threading.Thread(target=self._read, name="engine-stream", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        try:
            while not self._cancel.is_set():
                try:
                    item = self._items.get(timeout=POLL_S)
                except queue.Empty:
                    continue
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """The engine learns that nobody reads any more."""
        self._left.set()
        if isinstance(self._stream, CancellableStream):
            # OSError, ValueError, AttributeError: it ended by itself meanwhile.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                self._stream.close()

    def _read(self) -> None:
        try:
            self._stream = self._open_stream()
            for item in self._stream:
                self._items.put(item)
                if self._left.is_set():
                    break
        except SDK_FAILURES as err:
            self._items.put(err)
        finally:
            self._items.put(None)
            self._drop()

    def _drop(self) -> None:
        # A shut down socket still has its descriptor, and a generator its response.
        response = getattr(self._stream, "_response", None)
        for one in (response, self._stream if response is None else None):
            if close := getattr(one, "close", None):
                close()
