"""Running one claimed job: heartbeat and fencing around the pipeline, then how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from threading import Event, Thread
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from cache.selectors import cache_tag
from crewship.crews.services import scope_key
from crewship.devcontainer.config import read_crew
from crewship.domain.errors import (
    BuildCancelled,
    BuildTimeout,
    ContainerGone,
    CrewshipError,
    EngineError,
    EngineUnreachable,
)
from crewship.web.database import close_connection, is_away, wait_for_database
from provisioning.emitter import EventEmitter
from provisioning.faults import FaultPoint, fault_point
from provisioning.finish import complete, fail
from provisioning.models import ProvisionJob
from provisioning.pipeline.context import BuildRequest, BuiltImage, Tools
from provisioning.pipeline.execute import drop_draft, execute
from provisioning.pipeline.output import clean_text
from provisioning.retire import retire_image
from provisioning.states import JobState
from provisioning.toolbox import engine_answers, tools_for
from provisioning.transitions import StaleJobState, advance

log = logging.getLogger(__name__)


class EngineLost(EngineError):
    code = "engine_lost"
    hint = "Look after the Docker engine and try again: finished layers are there still."


LOOK_S = 0.5  # how often a running job's row is looked at: bounds how late a cancel is seen
HEARTBEAT_S = 5.0


class Watchdog:
    """Writes the heartbeat of a claimed job and sets ``cancel`` when the job is taken away, the
    worker stops, or its time is up; ``reason`` says which."""

    def __init__(self, job: ProvisionJob, stopping: Event) -> None:
        self.cancel = Event()
        self.lost = Event()  # set by whoever sees that the job is no more ours
        self.reason = ""
        self._job = job
        self._stopping = stopping
        self._closing = Event()
        self._deadline = time.monotonic() + settings.CREWSHIP.limits.job_timeout_s
        self._thread = Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        beat_at = time.monotonic()
        try:
            while not self._closing.wait(LOOK_S) and not self.cancel.is_set():
                if self.lost.is_set() or not self._is_ours():
                    self._stop("lost")
                elif self._stopping.is_set():
                    self._stop("stopping")
                elif time.monotonic() > self._deadline:
                    self._stop("timeout")
                elif time.monotonic() - beat_at >= HEARTBEAT_S:
                    beat_at = time.monotonic()
                    self._beat()
        finally:
            connection.close()

    def _stop(self, reason: str) -> None:
        self.reason = reason
        self.cancel.set()

    def _mine(self) -> QuerySet[ProvisionJob]:
        return ProvisionJob.objects.filter(
            pk=self._job.pk, fence=self._job.fence, state=JobState.RUNNING
        )

    def _beat(self) -> None:
        try:
            self._mine().update(heartbeat_at=Now())
        except DatabaseError as err:  # the thread goes on: it is what sees a cancel
            log.warning("%s: no heartbeat: %s", self._job.pk, err)
            close_connection()

    def _is_ours(self) -> bool:
        try:
            return bool(self._mine().exists())
        except DatabaseError as err:
            log.warning("%s: the database does not answer: %s", self._job.pk, err)
            close_connection()
            return True  # the sweep decides by the heartbeat, not by one failed look


def run_job(job: ProvisionJob, stopping: Event) -> None:
    """The claimed job ended (or is pending again because this worker stops), in our records too.

    Nothing is raised for a job that failed: that is recorded. What is raised is a fault of ours,
    after the job was marked failed.
    """
    with (
        Watchdog(job, stopping) as dog,
        wait_for_database(
            lambda: EventEmitter(job_id=job.pk, fence=job.fence, lost=dog.lost)
        ) as emit,
    ):
        try:
            tools = wait_for_database(lambda: tools_for(job, job.host, emit, dog.cancel))
            built = execute(wait_for_database(lambda: _request(job)), tools)
            emit.all_done()
        except BuildCancelled:
            emit.flush()
            _end_cancelled(job, dog)
            return
        except CrewshipError as err:
            _end_on_error(job, err, emit)
            return
        except Exception as err:  # the task boundary: no job may hang as running
            emit.flush()
            if is_away(err):  # the job is not to blame: whoever comes next builds on its layers
                _hand_back(job, "database_away")
                raise
            log.exception("%s: unexpected error", job.pk)
            _end_failed(job, CrewshipError("Something went wrong on our side.", code="internal"))
            raise
        emit.flush_all()
        _end_completed(job, built, tools)


def _request(job: ProvisionJob) -> BuildRequest:
    """From the job's own copies of the texts, under the rules of now. Raises ConfigInvalid."""
    spec = read_crew(
        job.devcontainer_config,
        job.mise_config,
        job.runtime_image or None,
        settings.CREWSHIP.policy,
        job.lock_config,
    )
    return BuildRequest(
        job_id=job.pk,
        fence=job.fence,
        spec=spec,
        config_hash=job.config_hash,
        tag=cache_tag(job.config_hash),
        rebuild=job.rebuild,
        scope_key=scope_key(job.workspace),
    )


def _end_completed(job: ProvisionJob, built: BuiltImage, tools: Tools) -> None:
    engine = tools.engine
    fault_point(FaultPoint.BEFORE_JOB_COMPLETION)
    try:
        replaced = wait_for_database(lambda: complete(job, built))
    except StaleJobState:
        drop_draft(built, tools)
        if wait_for_database(lambda: _ended_here(job)):
            return  # the answer to the first try was lost, not its effect
        log.info("%s was taken away at the end; its image is not recorded", job.pk)
        image = built.image.image_id
        wait_for_database(lambda: retire_image(engine, job.host, image, tag=built.tag))
        return
    fault_point(FaultPoint.AFTER_JOB_COMPLETION)
    drop_draft(built, tools)
    if replaced:
        old = replaced
        wait_for_database(lambda: retire_image(engine, job.host, old))


def _ended_here(job: ProvisionJob) -> bool:
    return ProvisionJob.objects.filter(
        pk=job.pk, fence=job.fence, state=JobState.COMPLETED
    ).exists()


def _end_on_error(job: ProvisionJob, error: CrewshipError, emit: EventEmitter) -> None:
    """Pending again if the engine was lost for the first time, else failed.

    Whatever the error says, an engine that does not answer is its cause: one that is stopped kills
    its containers first, and what ran in them looks as if it had failed.
    """
    gone = isinstance(error, EngineUnreachable | ContainerGone) or not engine_answers()
    said = (error.message.splitlines() or [str(error)])[0]
    if gone and not job.lost_engines:
        emit.system(f"{said}; the job begins again when the engine is back")
        emit.flush_all()
        _wait_for_engine(job, error)
        return
    if gone and not isinstance(error, ContainerGone):
        error = EngineLost(f"{error.message}\nThe engine had gone away once before in this job.")
    emit.system(f"Failed: {said}")
    emit.step_failed(error.message)
    emit.flush_all()
    _end_failed(job, error)


def _wait_for_engine(job: ProvisionJob, error: CrewshipError) -> None:
    log.warning("%s lost its engine: %s", job.pk, error)
    _hand_back(
        job,
        "engine_lost",
        message="the Docker engine went away; waiting for it",
        about={"error": clean_text(error.message)},
        lost_engines=F("lost_engines") + 1,
    )


def _end_failed(job: ProvisionJob, error: CrewshipError) -> None:
    log.info("%s failed: %s", job.pk, error.error_code)
    try:
        wait_for_database(lambda: fail(job, error, guard=job.fence))
    except StaleJobState:
        log.info("%s was taken away before it could be marked failed", job.pk)


def _end_cancelled(job: ProvisionJob, dog: Watchdog) -> None:
    if dog.reason == "timeout":
        limit = settings.CREWSHIP.limits.job_timeout_s
        _end_failed(job, BuildTimeout(f"The job ran longer than {limit} s.", code="job_timeout"))
    elif dog.reason == "stopping":
        _hand_back(job, "worker_stopping")


def _hand_back(
    job: ProvisionJob,
    reason: str,
    *,
    message: str = "waiting for another worker",
    about: Mapping[str, str] | None = None,
    **fields: Any,  # Any: columns
) -> None:
    """The job is pending again; while the database is away, the sweep will see to that."""

    def write() -> ProvisionJob:
        return advance(
            job,
            JobState.PENDING,
            guard=job.fence,
            data={"reason": reason, **(about or {})},
            message=message,
            step=0,
            **fields,
        )

    try:
        wait_for_database(write)
    except StaleJobState:
        log.info("%s was taken away before it could be handed back", job.pk)
