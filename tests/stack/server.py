"""`crewship start` as processes on this machine, and an API client for it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

PROJECT = Path(__file__).resolve().parent.parent.parent
ENDED = {"completed", "failed", "idle"}
SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"


def wait_until(
    condition: Callable[[], Any], within_s: float, what: str, every_s: float = 0.1
) -> Any:
    """The condition's first true value; AssertionError naming ``what`` when it stays false."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every_s)
    raise AssertionError(f"{what}: not within {within_s:g} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """One installation: data directory, environment, running servers."""

    def __init__(self, data_dir: Path, settings: dict[str, str]) -> None:
        self.data_dir = data_dir
        self.temp_dir = data_dir.with_name(data_dir.name + "-temp")
        self.temp_dir.mkdir(exist_ok=True)
        self.port = free_port()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("CREWSHIP_", "DJANGO_"))},
            "CREWSHIP_DATA_DIR": str(data_dir),
            "TMPDIR": str(self.temp_dir),
            "CREWSHIP_USER_REQUESTS_PER_MINUTE": "100000",
            "CREWSHIP_ANONYMOUS_REQUESTS_PER_MINUTE": "100000",
            "CREWSHIP_STARTS_PER_MINUTE": "10000",
            "CREWSHIP_HOST": f"test-{data_dir.name}",
            "CREWSHIP_CA_BUNDLE": SYSTEM_CA,
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[httpx.Client] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, workers: int = 2) -> None:
        command = [str(Path(sys.executable).with_name("crewship")), "start"]
        command += ["--bind", f"127.0.0.1:{self.port}", "--workers", str(workers)]
        log = (self.data_dir / "start.log").open("ab")
        self._process = subprocess.Popen(
            command, env=self.environment, stdout=log, stderr=subprocess.STDOUT
        )
        log.close()
        wait_until(self._is_ready, 280, f"crewship start ({self.data_dir}/start.log)")

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError((self.data_dir / "start.log").read_text()[-3000:])
        try:
            ready = httpx.get(f"{self.url}/readyz", timeout=2).is_success
        except httpx.HTTPError:
            return False
        return ready and bool(self.rows("SELECT 1 FROM cache_dockerhost"))

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(with_signal)
            self._process.wait(60)
            self._process = None

    def close(self) -> None:
        """Stopped, and all connections to it closed."""
        self.stop()
        for client in self._clients:
            client.close()

    def manage(self, *args: str, **extra: str) -> str:
        """What ``manage.py`` printed; AssertionError with it when it failed."""
        done = subprocess.run(
            [sys.executable, str(PROJECT / "manage.py"), *args],
            env={**self.environment, **extra},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def bootstrap(self, workspace: str = "acme", email: str = "olga@example.com") -> Api:
        made = json.loads(
            self.manage("bootstrap", "--workspace", workspace, "--email", email, "--json")
        )
        api = Api(self.url, made["token"])
        self._clients.append(api.http)
        return api

    def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """Read the database directly: what is asserted is what is stored. Arguments are ``?``."""
        url = self.environment.get("CREWSHIP_DATABASE_URL")
        if url:
            with psycopg.connect(url, connect_timeout=10) as connection:
                return connection.execute(sql.replace("?", "%s").encode(), args).fetchall()
        path = self.data_dir / "crewship.sqlite3"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as database:
            return database.execute(sql, args).fetchall()

    def pids(self, command: str) -> list[int]:
        """Processes of this installation whose command line has ``command`` in it."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                env = (place / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if command in line and f"CREWSHIP_DATA_DIR={self.data_dir}\0" in env + "\0":
                found.append(int(place.name))
        return found


class Api:
    """An API client of one user; paths are below /api/v1."""

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx.Client(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        self.token = token

    def crew(self, slug: str, config: dict[str, Any] | None = None, **fields: Any) -> str:
        """A new crew's id."""
        body = {"name": slug, "slug": slug, **fields}
        if config is not None:
            body["devcontainer_config"] = json.dumps(config)
        answer = self.http.post("/crews", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def configure(self, crew: str, config: dict[str, Any]) -> None:
        body = {"devcontainer_config": json.dumps(config)}
        answer = self.http.patch(f"/crews/{crew}", json=body)
        assert answer.status_code == 200, answer.text

    def provision(self, crew: str, verb: str = "provision") -> None:
        answer = self.http.post(f"/crews/{crew}/{verb}")
        assert answer.status_code == 202, answer.text

    def status(self, crew: str) -> dict[str, Any]:
        answer = self.http.get(f"/crews/{crew}/provision")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(self, crew: str, within_s: float = 120) -> dict[str, Any]:
        """The status when the crew's job has ended."""
        return dict(
            wait_until(
                lambda: s if (s := self.status(crew))["status"] in ENDED else None,
                within_s,
                f"job of {crew}",
                0.2,
            )
        )

    def build(self, crew: str, verb: str = "provision", within_s: float = 120) -> str:
        """Provisions and returns the tag; AssertionError with the log when it does not complete."""
        self.provision(crew, verb)
        status = self.wait(crew, within_s)
        assert status["status"] == "completed", self.log(crew) + str(status.get("error"))
        return str(status["cached_image"])

    def jobs(self, crew: str) -> list[dict[str, Any]]:
        return list(self.http.get(f"/crews/{crew}/jobs").json()["results"])

    def log(self, crew: str) -> str:
        return self.http.get(f"/jobs/{self.jobs(crew)[0]['id']}/log").text

    def images(self) -> dict[str, dict[str, Any]]:
        return {i["tag"]: i for i in self.http.get("/cache/images").json()["images"]}


@contextmanager
def running_stack(data_dir: Path, settings: dict[str, str], workers: int = 2) -> Iterator[Stack]:
    """A started installation; stopped, and its images removed from the engine, at the end."""
    stack = Stack(data_dir, settings)
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        stack.start(workers)
        yield stack
    finally:
        stack.close()
        remove_all_images(stack)


def remove_all_images(stack: Stack) -> None:
    """The engine has nothing any more that this installation's records name."""
    from docker.utils import kwargs_from_env

    from crewship.engine.docker import DockerEngine

    # The engine that the installation worked with, which may be one of the test's own.
    engine = DockerEngine(kwargs_from_env(environment=stack.environment))
    for kind in ("container", "network", "volume"):
        remove = getattr(engine, f"remove_{kind}")
        for (name,) in stack.rows(f"SELECT name FROM provisioning_agent{kind}"):  # noqa: S608
            remove(name)
    names = [tag for (tag,) in stack.rows("SELECT tag FROM cache_cachedimage")]
    layers = stack.rows("SELECT tag FROM cache_layer ORDER BY id DESC")
    for name in [*names, *(tag for (tag,) in layers)]:
        engine.remove_image(name)
    for (name,) in stack.rows("SELECT name FROM provisioning_scratchcontainer"):
        engine.remove_container(name)
    engine.close()
