"""Bundled features installed for real, in a container of debian:bookworm-slim."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

BUNDLED = Path(__file__).parents[2] / "catalogs" / "bundled" / "features"


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def container() -> Iterator[str]:
    name = f"crewship-test-bundled-{uuid.uuid4().hex[:12]}"
    docker("run", "--detach", "--name", name, "debian:bookworm-slim", "sleep", "600")
    yield name
    docker("rm", "--force", name)


def install(container: str, feature: str, **options: str) -> str:
    docker("cp", f"{BUNDLED / feature}/.", f"{container}:/feature")
    environment = [f"--env={name}={value}" for name, value in options.items()]
    return docker("exec", *environment, container, "/bin/sh", "/feature/install.sh")


def test_base_tools_are_there_twice_over_and_no_apt_lists_stay(container: str) -> None:
    install(container, "base-tools", PACKAGES="tree")
    install(container, "base-tools", PACKAGES="tree")
    docker("exec", container, "sh", "-c", "git --version && rg --version && tree --version")
    assert docker("exec", container, "ls", "/var/lib/apt/lists") == ""


LOG_IN = """
set -eu
ssh-keygen -q -t ed25519 -N '' -f "$HOME/key"
mkdir -p "$HOME/.ssh" && cp "$HOME/key.pub" "$HOME/.ssh/authorized_keys"
/usr/local/share/crewship-sshd.sh true
ssh -p 2022 -i "$HOME/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o BatchMode=yes agent@127.0.0.1 id -u
"""


def test_the_agent_user_starts_sshd_and_logs_in(container: str) -> None:
    install(container, "sshd", PORT="2022")
    docker("exec", container, "useradd", "--create-home", "--uid", "1001", "agent")
    as_agent = ["exec", "--user", "agent", "--env", "HOME=/home/agent", container]
    out = docker(*as_agent, "sh", "-c", LOG_IN)
    assert out.splitlines() == ["sshd listens on port 2022", "1001"]


def test_the_image_holds_no_host_keys(container: str) -> None:
    install(container, "sshd")
    assert "ssh_host" not in docker("exec", container, "ls", "/etc/ssh")
