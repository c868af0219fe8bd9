"""RQ's worker as this product needs it.

Its stop hands the running job back instead of waiting for it, it goes on while Redis is away, and
it says in the database that it lives. RQ's own status of a job is transport: whether a job runs,
waits or is done is in the database, so whatever of RQ's bookkeeping is lost costs nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, ResponseError
from redis.retry import Retry
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job

from provisioning import worker_processes
from provisioning.tasks import STOP_SIGNAL

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
LOOK_S = 5  # how long the worker waits for a message, or for its horse, before it says it lives
CONNECT_S = 2.0
ANSWER_S = LOOK_S + 3.0  # longer than a message is waited for: silence until then is no fault


def worker_connection(url: str) -> Redis:
    """A connection that says within seconds that Redis is away: the worker has a heartbeat to
    write meanwhile, and tries again by itself. Once more at once, for what a restart left open."""
    return Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_S,
        # Not left to RQ, which sets it for connections that are made later: the first one, which
        # is used again and again, would keep the client's own 5 s and fail while a worker idles.
        socket_timeout=ANSWER_S,
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
    )


def wait_for_redis(redis: Redis) -> None:
    """Redis answers now, however long that took: a worker that ends only comes to the same."""
    pause_s, said = 1.0, False
    while True:
        try:
            redis.ping()
        except RedisError as err:
            if not said:
                log.warning("waiting for Redis: %s", err)
            said = True
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, LOOK_S)
        else:
            return


class ProvisionWorker(Worker):
    """On SIGTERM its work horse gets STOP_SIGNAL: the job is pending again within seconds, its
    finished layers serve whoever takes it up.

    Redis may be away at any time after the start. A job that runs is waited for as if nothing
    were amiss; without one the worker asks for Redis every few seconds until it is back.
    """

    max_connection_wait_time = 5.0  # seconds; RQ doubles its pauses from 1 s up to this

    def __init__(self, *args: Any, host_name: str, **options: Any) -> None:  # Any: rq's
        super().__init__(*args, **options)
        self._host_name = host_name
        self._beat_at = 0.0
        self._redis_is_away = False

    # -- stopping
    def request_stop(self, signum: int, frame: FrameType | None) -> Any:
        self._stop_horse()
        return super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # rq's

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """A second SIGTERM asks for the same; killing the horse would leave its clean-up to the
        sweep. Whoever cannot wait sends SIGKILL."""
        self._stop_horse()

    def _stop_horse(self) -> None:
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, STOP_SIGNAL)

    def setup_work_horse_signals(self) -> None:
        """A horse does not outlive its worker: a job whose worker was killed is the sweep's, and
        must not go on beside the one that takes it up."""
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]  # rq's
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:  # the worker died between fork and prctl
            os._exit(1)

    # -- living
    @property
    def dequeue_timeout(self) -> int:
        return LOOK_S

    @property
    def connection_timeout(self) -> int:
        """Of each answer of Redis: one that hangs must not keep the worker from its heartbeat."""
        return int(ANSWER_S)

    def beat(self) -> None:
        """The database says that this process lives. Without threads, and with a connection of
        its own each time: the horses are forks of this process."""
        if self.is_horse or time.monotonic() - self._beat_at < worker_processes.BEAT_S / 2:
            return
        self._beat_at = time.monotonic()
        try:
            worker_processes.beat(self.name, self._host_name)
        except DatabaseError as err:
            log.warning("%s: no heartbeat: %s", self.name, err)
        finally:
            connections.close_all()

    def teardown(self) -> None:
        try:
            worker_processes.end(self.name)
        except DatabaseError as err:  # the row goes later by its age
            log.warning("%s: its row stays: %s", self.name, err)
        finally:
            connections.close_all()
        super().teardown()  # type: ignore[no-untyped-call]  # rq's

    # -- going on without Redis; nothing below is needed for a job to be done
    @contextmanager
    def _redis_may_be_away(self) -> Iterator[None]:
        try:
            yield
        except RedisError as err:
            if not self._redis_is_away:
                log.warning("%s goes on without Redis: %s", self.name, err)
            self._redis_is_away = True
        else:
            self._redis_is_away = False

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """RQ itself waits for a connection. A Redis that answers and refuses (its disk is full) is
        waited for as well: a worker that ended would only be started again to meet the same."""
        while True:
            try:
                return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
            except ResponseError as err:
                if not self._redis_is_away:
                    log.warning("%s waits, Redis refuses: %s", self.name, err)
                self._redis_is_away = True
                time.sleep(LOOK_S)
                if self._stop_requested:
                    raise StopRequested from None

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        self.beat()
        with self._redis_may_be_away():
            super().heartbeat(timeout, pipeline)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        self.beat()
        with self._redis_may_be_away():
            super().maintain_heartbeats(job, execution)

    def set_state(self, state: str, pipeline: Any = None) -> None:
        with self._redis_may_be_away():
            super().set_state(state, pipeline)

    def set_shutdown_requested_date(self) -> None:
        with self._redis_may_be_away():
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]  # rq's

    def check_for_suspension(self, burst: bool) -> None:
        with self._redis_may_be_away():
            super().check_for_suspension(burst)

    def run_maintenance_tasks(self) -> None:
        with self._redis_may_be_away():
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]  # rq's

    def register_death(self) -> None:
        with self._redis_may_be_away():
            super().register_death()  # type: ignore[no-untyped-call]  # rq's

    def subscribe(self) -> None:
        """RQ's commands over pub/sub stay off: jobs are cancelled through the database, and a
        thread that dies with its connection is one thing less to look after."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        """A message that can't be taken up is dropped: the sweep sends another one."""
        with self._redis_may_be_away():
            super().execute_job(job, queue)
        self.executions.clear()

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        """The horse has ended; whatever Redis does, it is never left alone before."""
        while True:
            with self._redis_may_be_away():
                super().monitor_work_horse(job, queue, execution)
            if not self.horse_pid:
                return
