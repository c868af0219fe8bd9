"""Clean-up that never takes the place of the error that led to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def clean_up(what: str) -> Iterator[None]:
    """The block is tried; what it raises is logged and goes no further.

    For what is in our records: the host's sweep finds it there and removes it later.
    """
    try:
        yield
    except Exception as err:  # noqa: BLE001  # the first error is the one to tell
        log.warning("%s is left to the sweep: %s", what, err)
