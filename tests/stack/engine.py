"""A Docker engine of the test's own, beside the machine's, that may be hurt.

It lives in a tree of its own: mounts, network and processes are apart from the machine's, so that
neither its firewall nor its bridges nor its containers meet those of the usual engine, and nothing
of it is left when the tree ends. It has no way out; the base image is brought by save and load.
Root only, like `make setup`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from tests.engine.real import BASE_IMAGE
from tests.stack.server import wait_until

PATIENCE_S = 120

# The tree's first process: takes in orphans (shims of a killed engine) and ends with the test.
_INIT = """
import ctypes, os, signal, subprocess, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
run = subprocess.check_call
run(["mount", "-t", "proc", "proc", "/proc"])
run(["mount", "-t", "tmpfs", "tmpfs", "/run"])
run(["ip", "link", "set", "lo", "up"])
sys.stdout.write("ready\\n")
sys.stdout.flush()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    signal.pause()
"""


class OwnEngine:
    """An engine that can be stopped, killed and started again; ``host`` is its DOCKER_HOST.

    Its tree sees what is mounted below ``data_root`` now.
    """

    def __init__(self, folder: Path, data_root: Path) -> None:
        self.data_root = data_root
        self._folder = folder
        self._socket = folder / "docker.sock"
        # All of it ends with the process of the tests, however that ends.
        command = [
            "setpriv",
            "--pdeathsig=KILL",
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
        ]
        command += [sys.executable, "-I", "-c", _INIT]
        self._tree = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._tree.stdout is not None
        assert self._tree.stdout.readline() == "ready\n", "the engine's tree can't be made: root?"
        [self._init] = _children(self._tree.pid)
        self._entered: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self._socket}"

    @property
    def log(self) -> Path:
        return self._folder / "dockerd.log"

    def start(self) -> None:
        """It runs and answers."""
        # Words of the machine's engine such as its proxies are not this one's.
        argv = ["nsenter", f"--target={self._init}", "--mount", "--net", "--pid", "--", "dockerd"]
        argv += [f"--host={self.host}", f"--data-root={self.data_root}"]
        argv += ["--exec-root=/run/docker", "--pidfile=/run/docker.pid", "--log-level=warn"]
        with self.log.open("ab") as log:
            self._entered = subprocess.Popen(argv, stdout=log, stderr=log)
        wait_until(self.answers, PATIENCE_S, f"dockerd ({self.log})")

    def answers(self) -> bool:
        if self._entered is None or self._entered.poll() is not None:
            raise AssertionError(f"dockerd ended: {self.log.read_text()[-2000:]}")
        done = self.run_docker("version", "--format", "{{.Server.Version}}", check=False)
        return done.returncode == 0

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        """It has ended; with SIGKILL its containers' processes are left, as on a real machine."""
        if self._entered is None:
            return
        for pid in _children(self._entered.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, with_signal)
        self._entered.wait(PATIENCE_S)
        self._entered = None

    def run_docker(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """What docker's command said of this engine."""
        argv = ["docker", "--host", self.host, *args]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0 or not check, (args, done.stderr)
        return done

    def load(self, image: str) -> None:
        """The image is here as it is on the machine's usual engine."""
        usual = ["docker", "save", image]
        with subprocess.Popen(usual, stdout=subprocess.PIPE) as save:
            subprocess.run(
                ["docker", "--host", self.host, "load", "--quiet"],
                stdin=save.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )
        assert save.returncode == 0, f"docker save {image}"

    def client(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=self.host)

    def close(self) -> None:
        """The engine, its containers and its tree are gone."""
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.stop()
        self._tree.kill()
        self._tree.wait(PATIENCE_S)
        assert self._tree.stdout is not None
        self._tree.stdout.close()


@contextmanager
def own_engine(disk_mb: int | None = None, image: str = BASE_IMAGE) -> Iterator[OwnEngine]:
    """A started engine with the base image; its data root is a disk of that size if one is given.
    A folder of its own: a socket's path has to be short."""
    folder = Path(tempfile.mkdtemp(prefix="own-engine-"))
    data_root = folder / "data"
    data_root.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if disk_mb is not None:
            data_root = stack.enter_context(mounted_disk(disk_mb))
        engine = OwnEngine(folder, data_root)
        stack.callback(engine.close)
        engine.start()
        engine.load(image)
        yield engine


def make_disk(file: Path, size_mb: int) -> Path:
    """A file with an empty file system in it, to be mounted by ``-o loop``."""
    with file.open("wb") as disk:
        disk.truncate(size_mb * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(file)], check=True)
    return file


@contextmanager
def mounted_disk(size_mb: int) -> Iterator[Path]:
    """A directory on a small disk of its own."""
    folder = Path(tempfile.mkdtemp(prefix="small-disk-"))
    place = folder / "disk"
    place.mkdir()
    subprocess.run(
        ["mount", "-o", "loop", str(make_disk(folder / "disk.ext4", size_mb)), str(place)],
        check=True,
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def _children(pid: int) -> list[int]:
    """Process ids as this machine sees them."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]
