"""RQ's worker, with a stop that hands the running job back instead of waiting for it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from types import FrameType
from typing import Any

from rq import Worker

from provisioning.tasks import STOP_SIGNAL

_PR_SET_PDEATHSIG = 1


class ProvisionWorker(Worker):
    """On SIGTERM its work horse gets STOP_SIGNAL: the job is pending again within seconds, its
    finished layers serve whoever takes it up. RQ's own status is transport, ours is the truth."""

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
