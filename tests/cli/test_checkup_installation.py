"""What ``crewship doctor`` says of the processes of an installation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from pytest_httpserver import HTTPServer

from cache.models import DockerHost
from catalogs.models import CatalogKind, CatalogState
from crewship.cli.checkup_installation import installation, of_health, web
from crewship.cli.finding import Finding
from crewship.cli.start import WEB_ADDRESS
from crewship.cli.supervisor.lock import LOCK, locked, owner_of
from crewship.settings.options import Options
from provisioning.health import installation_health
from provisioning.models import SchedulerState
from provisioning.worker_processes import beat

SetOptions = Callable[..., Options]


def told() -> dict[str, str]:
    return {found.name: found.mark.word for found in of_health(installation_health(), "local")}


@pytest.fixture
def well(host: DockerHost) -> DockerHost:
    beat("worker-1", host.name)
    SchedulerState.objects.create(heartbeat_at=Now())
    for kind in CatalogKind:
        CatalogState.objects.create(kind=kind, fetched_at=timezone.now())
    return host


@pytest.fixture
def runs_here(tmp_path: Path) -> Iterator[Path]:
    """The data directory of a ``crewship start``."""
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, "crewship"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        (tmp_path / LOCK).write_text(f"{run.pid}\n")
        yield tmp_path
        run.kill()


def test_all_parts_are_told_when_they_are_well(well: DockerHost) -> None:
    assert told() == {"host local": "ok", "scheduler": "ok", "queue": "ok"}


def test_a_stopped_watcher_is_broken(well: DockerHost) -> None:
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))
    assert told()["host local"] == "broken"


def test_a_stopped_scheduler_is_broken(well: DockerHost) -> None:
    SchedulerState.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    assert told()["scheduler"] == "broken"


def test_a_stopped_installation_is_one_warning(set_options: SetOptions, tmp_path: Path) -> None:
    found: list[Finding] = list(installation(set_options(data_dir=tmp_path)))
    assert [(one.name, one.mark.word) for one in found] == [("processes", "warning")]
    assert "crewship start" in found[0].hint


def test_where_no_database_is_none_is_made(
    set_options: SetOptions, runs_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": runs_here / "none.sqlite3"}
    fake = SimpleNamespace(DATABASES={"default": database})
    monkeypatch.setattr("crewship.cli.checkup_installation.settings", fake)
    found = {one.name: one.mark.word for one in installation(set_options(data_dir=runs_here))}
    assert found == {"web": "warning", "database": "warning"}
    assert not (runs_here / "none.sqlite3").exists()


@pytest.mark.parametrize(("status", "word"), [(200, "ok"), (500, "broken")])
def test_the_web_process_is_asked_where_it_listens(
    status: int, word: str, tmp_path: Path, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/healthz").respond_with_data("", status=status)
    (tmp_path / WEB_ADDRESS).write_text(f"http://127.0.0.1:{httpserver.port}\n")
    assert web(tmp_path, {}).mark.word == word


def test_the_owner_of_a_data_directory_is_known_only_while_it_lives(tmp_path: Path) -> None:
    assert owner_of(tmp_path) is None
    with locked(tmp_path):
        assert int((tmp_path / LOCK).read_text()) == os.getpid()
    (tmp_path / LOCK).write_text("1\n")  # somebody else's by now
    assert owner_of(tmp_path) is None


def test_the_owner_of_a_data_directory_is_found(runs_here: Path) -> None:
    assert owner_of(runs_here) is not None
