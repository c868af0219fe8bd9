"""Run as a program: ``exec_with_parent.py PARENT_PID PROGRAM ARGS…`` becomes PROGRAM, which gets
SIGTERM when the parent ends for whatever reason, SIGKILL included.

A program and not a ``preexec_fn``, which is unsafe in a process with threads. Standard library
only: it runs isolated from every package, to start fast.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, argv = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the line above
        sys.exit(1)
    # Signals that the parent blocks or ignores would stay so across exec.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  # no shell is what is wanted
    except OSError as err:
        sys.stderr.write(f"{argv[0]} can't be run: {err.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
