"""Work that nobody has to wait for to its end: each piece has a daemon thread.

``ThreadPoolExecutor`` waits for its threads when its block or the process ends; a peer that
dawdles would hold up whoever gave it up long ago. Threads that are left behind end by the time-outs
of what they do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from threading import Event, Thread
from typing import TypeVar

from crewship.domain.errors import BuildCancelled

T = TypeVar("T")
A = TypeVar("A")

LOOK_S = 0.1  # how soon a waiter sees the cancel


def start(work: Callable[[], T], name: str) -> Future[T]:
    """``work`` has begun in a thread of its own."""
    future: Future[T] = Future()

    def run() -> None:
        future.set_running_or_notify_cancel()
        try:
            result = work()
        except BaseException as err:  # noqa: BLE001  # whoever asks for the result gets it
            future.set_exception(err)
        else:
            future.set_result(result)

    Thread(target=run, name=name, daemon=True).start()
    return future


def result_of(future: Future[T], cancel: Event) -> T:
    """The result, or the error of the work; BuildCancelled as soon as ``cancel`` is set."""
    while True:
        if cancel.is_set():
            raise BuildCancelled("The build was stopped.")
        try:
            return future.result(timeout=LOOK_S)
        except TimeoutError:
            if future.done():  # the work's own
                raise


def side_by_side(work: Callable[[A], T], items: Iterable[A], workers: int, name: str) -> list[T]:
    """The results of all items in their order, at most ``workers`` of them worked on at a time.

    Raises the error of the first one in the order that failed; what was not begun by then never
    is, and what still runs is not waited for.
    """
    todo = list(items)
    futures: list[Future[T]] = [Future() for _ in todo]
    ahead = iter(zip(todo, futures, strict=True))  # next() on it is one step for the interpreter
    given_up = Event()

    def take() -> None:
        for item, future in ahead:
            if given_up.is_set():
                return
            try:
                future.set_result(work(item))
            except BaseException as err:  # noqa: BLE001  # whoever asks for the result gets it
                future.set_exception(err)

    for number in range(min(workers, len(todo))):
        Thread(target=take, name=f"{name}-{number}", daemon=True).start()
    try:
        return [future.result() for future in futures]
    finally:
        given_up.set()


def wait_until(deadline: float, futures: Iterable[Future[T]]) -> None:
    """Returns when all are done, or at that moment of the monotonic clock."""
    for future in futures:
        try:
            future.exception(timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return
