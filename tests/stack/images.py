"""Running commands in a built image, by docker's own command: the SDK's log reader loses output."""

from __future__ import annotations

import subprocess


def run_in(tag: str, *argv: str) -> str:
    """What the command printed in a throw-away container; AssertionError when it failed."""
    done = subprocess.run(["docker", "run", "--rm", tag, *argv], capture_output=True)
    assert done.returncode == 0, (argv, done.stderr.decode(errors="replace"))
    return done.stdout.decode()
