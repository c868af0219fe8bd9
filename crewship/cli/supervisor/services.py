"""Crewship's processes, in the order in which they start, and how each is stopped."""

from __future__ import annotations

import contextlib
import errno
import http.client
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from crewship.cli.embedded_redis import EmbeddedRedis
from crewship.cli.supervisor.child import ChildSpec, Stage
from crewship.cli.supervisor.supervisor import StopRequested, Supervisor
from crewship.domain.errors import StartFailed

WORKER_GRACE_S = 30.0
MIGRATE_S = 600.0
READY_S = 120.0
REDIS_READY_S = 60.0
REDIS_TRIES = 2  # the second one without data that the first one could not read
WEB_TRIES = 3
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not bound to


@dataclass(frozen=True, slots=True)
class Bind:
    """Where the web process listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Bind:
        """``127.0.0.1:8000``, ``[::1]:8000``; raises ValueError on anything else."""
        host, sep, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not sep or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{text!r} is not an address such as 127.0.0.1:8000")
        return cls(host, int(port))

    @property
    def probe_host(self) -> str:
        return _EVERYWHERE.get(self.host, self.host)

    @property
    def url(self) -> str:
        host = f"[{self.probe_host}]" if ":" in self.probe_host else self.probe_host
        return f"http://{host}:{self.port}"

    def check_free(self) -> None:
        """Nobody listens there, or StartFailed; clearer than a web process that can't start."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((self.host, self.port))
        except OSError as err:
            taken = err.errno == errno.EADDRINUSE
            reason = "is in use" if taken else f"can't be listened on ({err.strerror})"
            hint = "Choose another one with --bind."
            raise StartFailed(f"{self.host}:{self.port} {reason}", hint=hint) from err


@dataclass(frozen=True, slots=True)
class Services:
    """The specs of all processes for one data directory."""

    bind: Bind
    workers: int
    data_dir: Path
    redis: EmbeddedRedis | None  # None: ``redis_url`` is a server of the operator's
    redis_url: str
    environ: Mapping[str, str]

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def child_env(self) -> dict[str, str]:
        env = dict(self.environ)
        env["CREWSHIP_DATA_DIR"] = str(self.data_dir)
        env["CREWSHIP_REDIS_URL"] = self.redis_url
        env["DJANGO_SETTINGS_MODULE"] = "crewship.settings"
        env["PYTHONUNBUFFERED"] = "1"
        named = self.bind.host not in _LOOPBACK and self.bind.host not in _EVERYWHERE
        if named and not env.get("CREWSHIP_ALLOWED_HOSTS"):
            host = f"[{self.bind.host}]" if ":" in self.bind.host else self.bind.host
            env["CREWSHIP_ALLOWED_HOSTS"] = f"+{host}"
        return env

    def redis_spec(self, redis: EmbeddedRedis) -> ChildSpec:
        return ChildSpec(
            "redis",
            redis.argv,
            self.environ,
            stage=Stage.STORE,
            quiet=True,
            before=redis.make_room,
            is_sound=redis.is_reachable,
            mend=redis.set_aside_damaged,
        )

    def migrate_spec(self) -> ChildSpec:
        argv = _python("django", "migrate", "--noinput")
        return ChildSpec("migrate", argv, self.child_env, restart=False, quiet=True, grace_s=60.0)

    def web_spec(self) -> ChildSpec:
        argv = _python(
            *("uvicorn", "crewship.asgi:application"),
            *("--host", self.bind.host, "--port", str(self.bind.port)),
            *("--lifespan", "off", "--no-access-log", "--no-server-header"),
            # Event streams stay open for ever; they are cut after this many seconds.
            *("--timeout-graceful-shutdown", "3"),
        )
        return ChildSpec("web", argv, self.child_env)

    def background_specs(self) -> tuple[ChildSpec, ...]:
        env = self.child_env
        workers = (f"worker-{number}" for number in range(1, self.workers + 1))
        return (
            ChildSpec("watcher", _python("django", "crewship_watcher"), env),
            ChildSpec("scheduler", _python("django", "crewship_scheduler"), env, stage=Stage.WORK),
            *(
                ChildSpec(
                    name,
                    _python("django", "crewship_worker", "--name", name),
                    env,
                    stage=Stage.WORK,
                    grace_s=WORKER_GRACE_S,
                )
                for name in workers
            ),
        )


def serve(services: Services, supervisor: Supervisor, on_ready: Callable[[str], None]) -> None:
    """Everything ran until a stop was asked for, and nothing is left. Raises StartFailed.

    ``on_ready`` gets the address once ``/healthz`` answers.
    """
    services.bind.check_free()
    try:
        with contextlib.suppress(StopRequested):
            _start(services, supervisor)
            on_ready(services.bind.url)
            supervisor.run()
        supervisor.say("stopping")
    finally:
        supervisor.close()


def _start(services: Services, supervisor: Supervisor) -> None:
    if services.redis:
        child = supervisor.start(services.redis_spec(services.redis))
        supervisor.wait_ready(child, services.redis.answers, REDIS_READY_S, tries=REDIS_TRIES)
    supervisor.run_to_end(services.migrate_spec(), MIGRATE_S)
    web = supervisor.start(services.web_spec())
    for spec in services.background_specs():
        supervisor.start(spec)
    header = probe_header(services.bind, services.child_env)
    supervisor.wait_ready(web, lambda: is_healthy(services.bind, header), READY_S, tries=WEB_TRIES)


def probe_header(bind: Bind, env: Mapping[str, str]) -> str:
    """A Host header that the web process accepts: the first allowed host, else the address."""
    first = env.get("CREWSHIP_ALLOWED_HOSTS", "").split(",")[0].strip()
    if first and not first.startswith(("+", "*")):
        return first.removeprefix(".")
    return bind.url.removeprefix("http://")


def is_healthy(bind: Bind, host_header: str) -> bool:
    """Whether ``/healthz`` answers 200 within a second."""
    connection = http.client.HTTPConnection(bind.probe_host, bind.port, timeout=1)
    # Behind TLS the web process would answer plain requests with a redirect.
    headers = {"Host": host_header, "X-Forwarded-Proto": "https"}
    try:
        connection.request("GET", "/healthz", headers=headers)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _python(module: str, *args: str) -> tuple[str, ...]:
    # -P: the directory that somebody happens to be in must not shadow our packages.
    return (sys.executable, "-P", "-m", module, *args)
