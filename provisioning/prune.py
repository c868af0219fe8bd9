"""Removing what is older than it is kept: once a day by the scheduler, or when somebody asks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone

from cache import upkeep
from crewship.web import sqlite_space
from crewship.web.sqlite_space import Space
from provisioning.models import SchedulerState
from provisioning.retention import Amount, Kind, kinds
from provisioning.scheduler_state import ONLY_ROW

log = logging.getLogger(__name__)

INTERVAL: Final = timedelta(days=1)
LOOK_S: Final = 60.0  # how often it is looked whether a prune is due
GIVE_BACK: Final = "give space back"
_DUTY: Final = "prune {}"


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What went (``removed``) or would go, by kind; and the database's file before and after,
    None where it is not SQLite's."""

    removed: bool
    amounts: dict[str, Amount]
    before: Space | None
    after: Space | None
    seconds: float

    @property
    def rows(self) -> int:
        return sum(amount.rows for amount in self.amounts.values())

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return {
            "removed": self.removed,
            "kinds": [
                {"kind": name, "rows": amount.rows, "bytes": amount.bytes}
                for name, amount in self.amounts.items()
            ],
            "database_bytes_before": _bytes(self.before),
            "database_bytes_after": _bytes(self.after),
            "seconds": round(self.seconds, 1),
        }

    def lines(self) -> list[str]:
        """For people."""
        done = "removed" if self.removed else "could be removed"
        found = [
            f"{amount.rows:>9,}  {name.replace('_', ' ')}"
            + (f", {amount.bytes / 1e6:,.1f} MB" if amount.bytes else "")
            for name, amount in self.amounts.items()
            if amount.rows
        ]
        found.append(f"{self.rows:>9,}  rows {done}")
        if self.before is not None and self.after is not None and self.removed:
            before, after = _bytes(self.before) or 0, _bytes(self.after) or 0
            found.append(
                f"The database's files had {before / 1e6:,.1f} MB, "
                f"now {after / 1e6:,.1f} MB ({self.seconds:.1f} s)."
            )
        if self.after is not None and not self.after.gives_back:
            found.append(
                "The database's file was made by an older version and keeps its size: "
                "`crewship prune --vacuum` rewrites it once."
            )
        return found


def prune(*, remove: bool, vacuum: bool = False) -> PruneReport:
    """All kinds, one after the other. With ``vacuum`` the file is rewritten, else SQLite gives
    back what it can. Raises NoRoomToRewrite when the rows are gone."""
    began = time.monotonic()
    before = sqlite_space.space()
    amounts = {kind.name: kind.remove() if remove else kind.count() for kind in kinds()}
    if remove:
        if vacuum:
            sqlite_space.rewrite()
        sqlite_space.give_back()
    seconds = time.monotonic() - began
    return PruneReport(remove, amounts, before, sqlite_space.space(), seconds)


def duty_names() -> list[str]:
    """As which a kind that can't be pruned is listed among the problems of upkeep."""
    return [_DUTY.format(kind.name) for kind in kinds()] + [GIVE_BACK]


def keep_pruning(stop: Event) -> None:
    """Prunes once a day until ``stop`` is set; for a thread of the scheduler, which waits for
    none of it. A kind that fails keeps no other, and is tried again in the next minute."""
    pruner = DailyPrune()
    while not stop.is_set():
        try:
            pruner.look(stop)
        except DatabaseError as err:
            log.warning("old rows were not pruned, the database does not answer: %s", err)
        finally:
            connections.close_all()  # this thread's
        stop.wait(LOOK_S)


class DailyPrune:
    """What is done of today's prune."""

    def __init__(self) -> None:
        self._done: set[str] = set()
        self._upkeep = upkeep.Upkeep(upkeep.Kind.DUTY)

    def look(self, stop: Event) -> None:
        """Whatever is due is done. Raises DatabaseError while the database is away."""
        if not is_due():
            return
        work: dict[str, Callable[[], object]] = {
            _DUTY.format(kind.name): partial(_remove, kind) for kind in kinds()
        }
        work[GIVE_BACK] = sqlite_space.give_back
        for name, do in work.items():
            if stop.is_set():
                return
            if name not in self._done and self._upkeep.attempt(name, do):
                self._done.add(name)
        if self._done >= work.keys():
            values = {"pruned_at": timezone.now()}
            SchedulerState.objects.update_or_create(pk=ONLY_ROW, defaults=values)
            self._done.clear()


def is_due() -> bool:
    """A time that lies ahead is of a clock that was set back."""
    now = timezone.now()
    lately = SchedulerState.objects.filter(pruned_at__gt=now - INTERVAL, pruned_at__lte=now)
    return not lately.exists()


def _remove(kind: Kind) -> None:
    amount = kind.remove()
    if amount.rows:
        log.info("pruned %s: %d rows, %d bytes", kind.name, amount.rows, amount.bytes)


def _bytes(space: Space | None) -> int | None:
    return None if space is None else space.file_bytes + space.log_bytes
