"""What RQ runs. Only ids cross Redis; which job is run is decided by the database."""

from __future__ import annotations

import logging
import os
import signal
import socket
from threading import Event, current_thread, main_thread
from types import FrameType

from django.conf import settings
from django.db import close_old_connections

from cache.models import DockerHost
from provisioning.claim import claim_next, runnable_exists
from provisioning.queue import knock
from provisioning.toolbox import engine_answers
from provisioning.worker import run_job

log = logging.getLogger(__name__)

STOP_SIGNAL = signal.SIGUSR1  # from the worker to its work horse: hand the job back and end
stopping = Event()


def run_provision(knocked_for: str) -> None:
    """One job whose turn it is ran to its end. ``knocked_for`` is for people who read the queue:
    the job that is run may be another one's that waits longer."""
    close_old_connections()
    _listen_for_stop()
    host = DockerHost.objects.filter(name=settings.CREWSHIP.host_name).first()
    if host is None or stopping.is_set():
        return
    # The host's heartbeat may be seconds old. What is not claimed waits for the sweep's call.
    if not runnable_exists(host.pk) or not engine_answers():
        return
    # RQ names the worker to its horses; without RQ (a test) the process names itself.
    worker = os.environ.get("RQ_WORKER_ID") or f"{socket.gethostname()}:{os.getpid()}"
    job = claim_next(host.pk, worker[:100])
    if job is None:
        return
    log.info("%s claimed (knock for %s)", job.pk, knocked_for)
    try:
        run_job(job, stopping)
    finally:
        # A job that waited for its workspace's turn was passed over by its own knock.
        if runnable_exists(host.pk):
            knock(job.pk)


def _listen_for_stop() -> None:
    def stop(signum: int, frame: FrameType | None) -> None:
        stopping.set()

    if current_thread() is main_thread():
        signal.signal(STOP_SIGNAL, stop)
