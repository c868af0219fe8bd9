"""Running commands in a built image, by docker's own command: the SDK's log reader loses output."""

from __future__ import annotations

import subprocess

import docker


def run_in(tag: str, *argv: str) -> str:
    """What the command printed in a throw-away container; AssertionError when it failed."""
    return run_by_docker("run", "--rm", tag, *argv)


def run_by_docker(*argv: str) -> str:
    """What docker's command printed; AssertionError when it failed."""
    done = subprocess.run(["docker", *argv], capture_output=True)
    assert done.returncode == 0, (argv, done.stderr.decode(errors="replace"))
    return done.stdout.decode()


def build_containers(client: docker.DockerClient, job: str) -> list[str]:
    """Names of the scratch containers that a job has now."""
    prefix = f"crewship-build-{job.removeprefix('job_').lower()}"
    # The list alone: the SDK's objects look at each container again, which may be gone by then.
    listed = client.api.containers(all=True)
    names = [name.lstrip("/") for c in listed for name in c["Names"] or []]
    return [name for name in names if name.startswith(prefix)]
