"""Upkeep, one thing at a time: what fails is noted, left alone for a while, and tried again.

Whatever fails stops only itself. It is logged when it begins to fail and when it succeeds at
last, not in between; meanwhile ``cache.models.UpkeepProblem`` has a row that says what fails, why,
since when, and when it is tried again::

    with Upkeep(Kind.CONTAINER, host, engine) as upkeep:
        for row in rows:
            upkeep.attempt(row.name, partial(remove, row))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from enum import StrEnum
from types import TracebackType
from typing import Final

from django.utils import timezone

from cache.models import DockerHost, UpkeepProblem
from crewship.domain.errors import CrewshipError, EngineUnreachable
from crewship.engine.base import Engine
from crewship.web.database import is_away

log = logging.getLogger(__name__)

# The first pause, doubled with each try, and the longest one.
ROW_RETRY: Final = (timedelta(seconds=10), timedelta(minutes=10))
DUTY_RETRY: Final = (timedelta(seconds=1), timedelta(minutes=1))  # much waits for a duty
MAX_ROWS: Final = 1000  # of a host and kind; what fails beyond is tried again in each round
MAX_ERROR: Final = 500  # characters
MAX_NAME: Final = 200


class Kind(StrEnum):
    """What is done to the thing that a problem names."""

    CONTAINER = "remove build container"
    DRAFT = "remove half-made layer"
    LEASE = "release lease"
    REMOVAL = "carry out removal"
    IMAGE = "remove image"
    LAYER = "remove layer"
    AGENT = "settle agent"
    AGENT_CONTAINER = "remove agent container"
    NETWORK = "remove network"
    VOLUME = "remove volume"
    JOB = "take job from lost worker"
    FOLLOWERS = "free waiting jobs"
    WAKE = "wake workers of a host"
    PRUNE = "prune rows"
    DUTY = "duty"


class Upkeep:
    """One round of one kind of work. Leaving the block without an error forgets the problems of
    things that were not named in it: there is nothing to do about them any more.

    Problems are read once: who alone writes a kind may keep the object for many rounds. With
    ``at_once`` nothing waits for its time: somebody asked for it now.
    """

    def __init__(
        self,
        kind: Kind,
        host: DockerHost | None = None,
        engine: Engine | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        self._kind = kind
        self._host = host
        self._engine = engine
        self._at_once = at_once
        self._first, self._longest = DUTY_RETRY if kind == Kind.DUTY else ROW_RETRY
        self._known: dict[str, UpkeepProblem] | None = None
        self._named: set[str] = set()

    @property
    def _problems(self) -> dict[str, UpkeepProblem]:
        if self._known is None:
            found = UpkeepProblem.objects.filter(kind=self._kind, host=self._host)
            self._known = {problem.name: problem for problem in found}
        return self._known

    def __enter__(self) -> Upkeep:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if error is None:
            gone = [name for name in self._problems if name not in self._named]
            if gone:
                pks = [self._problems[name].pk for name in gone]
                UpkeepProblem.objects.filter(pk__in=pks).delete()
                self._known = {n: p for n, p in self._problems.items() if n in self._named}
        self._named.clear()

    def is_due(self, name: str) -> bool:
        """Whether ``attempt`` would do something now; the thing counts as named."""
        name = _short(name)
        self._named.add(name)
        problem = self._problems.get(name)
        return problem is None or self._at_once or not self._waits(problem)

    def attempt(self, name: str, work: Callable[[], object]) -> bool:
        """Whether ``work`` was done; not when its time has not come, nor when it raised.

        What it raises is noted and goes no further, save for what is nobody's fault: the engine
        is away (EngineUnreachable, and it does not answer a ping either), the database is.
        """
        name = _short(name)
        if not self.is_due(name):
            return False
        problem = self._problems.get(name)
        try:
            work()
        except Exception as err:  # a bug in the work for one thing is that thing's
            if is_away(err):  # the database: nothing can be noted
                raise
            if isinstance(err, EngineUnreachable) and self._engine is not None:
                self._engine.ping()
            self._note(name, problem, err)
            return False
        if problem is not None:
            UpkeepProblem.objects.filter(pk=problem.pk).delete()
            del self._problems[name]
            log.info("%s %s: done at last, after %d failures", self._kind, name, problem.tries)
        return True

    def _waits(self, problem: UpkeepProblem) -> bool:
        # Further ahead than any pause: the clock was set back.
        return timedelta() < problem.retry_at - timezone.now() <= self._longest

    def _note(self, name: str, problem: UpkeepProblem | None, err: Exception) -> None:
        now = timezone.now()
        text = _text(err)
        code = err.error_code if isinstance(err, CrewshipError) else "internal"
        if problem is None:
            if len(self._problems) < MAX_ROWS:
                self._problems[name] = self._begin(name, text, code, now)
            known = isinstance(err, CrewshipError)
            log.warning(
                "%s %s: failed, is tried again later: %s",
                self._kind, name, text, exc_info=None if known else err,
            )  # fmt: skip
            return
        pause = min(self._first * 2 ** min(problem.tries, 20), self._longest)
        problem.tries += 1
        problem.error, problem.code = text, code
        problem.last_at, problem.retry_at = now, now + pause
        # Not save(): a row that is gone meanwhile stays gone.
        UpkeepProblem.objects.filter(pk=problem.pk).update(
            tries=problem.tries, error=text, code=code, last_at=now, retry_at=problem.retry_at
        )

    def _begin(self, name: str, text: str, code: str, now: datetime) -> UpkeepProblem:
        return UpkeepProblem.objects.update_or_create(
            host=self._host,
            kind=self._kind,
            name=name,
            defaults={
                "error": text,
                "code": code,
                "tries": 1,
                "first_at": now,
                "last_at": now,
                "retry_at": now + self._first,
            },
        )[0]


def attempt(
    kind: Kind,
    name: str,
    work: Callable[[], object],
    host: DockerHost | None = None,
    engine: Engine | None = None,
) -> bool:
    """As ``Upkeep.attempt`` for a single thing; problems of others of its kind stay as they are."""
    return Upkeep(kind, host, engine).attempt(name, work)


def forget(kind: Kind, name: str, host: DockerHost | None = None) -> None:
    """Nobody wants it done any more."""
    UpkeepProblem.objects.filter(kind=kind, host=host, name=_short(name)).delete()


def forget_duties(host: DockerHost | None, known: Collection[str]) -> None:
    """Problems of duties that this version does not have any more are gone."""
    UpkeepProblem.objects.filter(kind=Kind.DUTY, host=host).exclude(name__in=known).delete()


class Outage:
    """Tells when something is away and when it is back, not in between."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told = ""

    def began(self, text: str) -> None:
        if not self._told:
            self._log.warning("%s", text)
        self._told = text

    def over(self, text: str) -> None:
        if self._told:
            self._log.warning("%s", text)
        self._told = ""


def _short(name: str) -> str:
    return name[:MAX_NAME]


def _text(err: Exception) -> str:
    text = err.message if isinstance(err, CrewshipError) else f"{type(err).__name__}: {err}"
    text = text.replace("\0", "").encode(errors="replace").decode()  # what a database takes
    return text if len(text) <= MAX_ERROR else f"{text[: MAX_ERROR - 1]}…"
