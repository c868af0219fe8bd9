"""Child processes that cannot outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("exec_with_parent.py")


def spawn(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdout: int
) -> subprocess.Popen[bytes]:
    """A running child in a process group of its own, both outputs on the descriptor ``stdout``.

    It gets SIGTERM when the thread that called this ends for whatever reason: call it from the
    main thread. A program that can't be run says so in its output and ends with exit code 127.
    """
    launcher = (sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()))
    return subprocess.Popen(
        (*launcher, *argv),
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        process_group=0,
    )


def reap(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code if the process has ended (negative: the signal), else None.

    What it left behind in its group is killed first, while its id still belongs to it.
    """
    if process.returncode is not None:
        return process.returncode
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    if ended is None:
        return None
    kill_group(process)
    return process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and its group, if there is one left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
