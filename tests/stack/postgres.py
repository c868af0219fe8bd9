"""A private PostgreSQL server of the tests: its own data folder, its own port on loopback.

``PostgresServer`` starts one, hands out databases, cuts their sessions and restarts. The fixture
``postgres_server`` is one for the whole run, ``postgres_db`` makes a migrated database of it the
one that Django's ORM speaks with during a test, in all threads.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import DjangoDbBlocker

from tests.stack.server import free_port, wait_until

USER = "crewship"
PASSWORD = "only-for-tests"
# Safe against its own crash (fsync is for that of the machine); deadlocks are found soon.
SETTINGS = {
    "fsync": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "deadlock_timeout": "20ms",
    "log_min_error_statement": "panic",
}


def _program(name: str) -> str:
    """Debian keeps the server's programs out of PATH. The newest version wins."""
    found = shutil.which(name)
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version)
    if found is None and not places:
        pytest.fail("no PostgreSQL: run `.ci/test-tools.sh postgres` as root", pytrace=False)
    return found or str(places[-1])


def _version(program: Path) -> int:
    name = program.parent.parent.name
    return int(name) if name.isdigit() else 0


def _unprivileged() -> list[str]:
    """PostgreSQL refuses to run as root: then it runs as the package's user, else as nobody."""
    if os.getuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


class PostgresServer:
    """One cluster. ``start`` and ``stop`` may follow each other; the port and the data stay."""

    def __init__(self, root: Path) -> None:
        self.port = free_port()
        self._root = root
        self._as = ["setpriv", *_unprivileged()]
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        # The kernel takes the thread that starts a program for its parent: one that lives on.
        self._launcher = ThreadPoolExecutor(1, thread_name_prefix="postgres")
        if os.getuid() == 0:
            uid = int(self._as[1].partition("=")[2])
            os.chown(root, uid, -1)
        password = root / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._initdb(password)

    def _initdb(self, password: Path) -> None:
        command = [*self._as, _program("initdb"), "--pgdata", f"{self._root}/data"]
        command += ["--username", USER, "--pwfile", str(password), "--auth", "scram-sha-256"]
        command += ["--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        done = subprocess.run(
            command,
            cwd=self._root,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """It answers afterwards. It ends with the process of the tests, however that ends."""
        self._process = self._launcher.submit(self._launch).result()
        wait_until(self._answers, 60, f"PostgreSQL ({self._root}/server.log)")

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [*self._as, "--pdeathsig=QUIT", _program("postgres")]
        command += ["-D", f"{self._root}/data", "-p", str(self.port)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with (self._root / "server.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._root,
                stdout=log,
                stderr=log,
            )

    def stop(self, *, at_once: bool = True) -> None:
        """All sessions are cut: with ``at_once`` as by a crash, else each is told to end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def close(self) -> None:
        self.stop()
        self._launcher.shutdown()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._root / "server.log").read_text()[-2000:]
        try:
            self.rows("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, template: str = "template1") -> str:
        """A new database's name; a copy of the template. It goes away with the server."""
        self._databases += 1
        name = f"crew{self._databases}"
        self.rows(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def url(self, database: str) -> str:
        """For CREWSHIP_DATABASE_URL."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def rows(self, sql: str, *args: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What the statement answers, by a connection of its own."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql, args)
            return cursor.fetchall() if cursor.description else []

    def cut_sessions(self, database: str) -> int:
        """Every session of the database is ended by the server; how many."""
        sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        return len(self.rows(sql, database))


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Not below pytest's folders: those are closed to the user that the server runs as."""
    root = Path(tempfile.mkdtemp(prefix="crewship-postgres-"))
    try:
        server = PostgresServer(root)
        server.start()
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@contextmanager
def as_default_database(server: PostgresServer, name: str) -> Iterator[None]:
    """Django's default connection is to this database, in every thread that opens one."""
    usual = connections.settings["default"]
    connection = connections["default"]
    connections.settings["default"] = {
        **usual,
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": USER,
        "PASSWORD": PASSWORD,
        "HOST": "127.0.0.1",
        "PORT": server.port,
        "OPTIONS": {},
        "CONN_HEALTH_CHECKS": True,
    }
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = usual
        connections["default"] = connection


@pytest.fixture(scope="session")
def migrated_postgres_database(
    postgres_server: PostgresServer, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> str:
    """A template: each test's database is a copy of it."""
    name = postgres_server.create_database()
    with django_db_blocker.unblock(), as_default_database(postgres_server, name):
        call_command("migrate", verbosity=0)
    return name


@pytest.fixture
def postgres_db(
    postgres_server: PostgresServer,
    migrated_postgres_database: str,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """The name of the database that Django speaks with in this test; commits are real."""
    name = postgres_server.create_database(migrated_postgres_database)
    with django_db_blocker.unblock(), as_default_database(postgres_server, name):
        yield name
