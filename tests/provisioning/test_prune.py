"""The daily prune, the command, and what a SQLite file takes before and after."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone

from cache.models import UpkeepProblem
from cache.upkeep import Kind as UpkeepKind
from cache.upkeep import Upkeep
from provisioning import prune as module
from provisioning.models import SchedulerState
from provisioning.prune import DailyPrune, duty_names, prune
from provisioning.retention import Amount, Kind, kinds
from tests.cast import Cast
from tests.conftest import JobMaker
from tests.provisioning.old_rows import days_ago, old_job
from tests.rows import all_rows

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crewship.web.sqlite_space._LONGEST_REST_S", 0.0)


def old_session() -> None:
    Session.objects.create(session_key="old", expire_date=days_ago(1))


# -- once a day
def test_the_scheduler_prunes_once_a_day(cast: Cast) -> None:
    daily = DailyPrune()
    old_session()
    daily.look(Event())
    assert not Session.objects.exists()
    old_session()
    daily.look(Event())
    assert Session.objects.exists()
    SchedulerState.objects.update(pruned_at=timezone.now() - timedelta(days=1, seconds=1))
    DailyPrune().look(Event())
    assert not Session.objects.exists()


def test_a_kind_that_fails_keeps_no_other_and_is_tried_again(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Amount:
        raise KeyError("bug")

    usual = kinds()
    broken = Kind("job_logs", fail, fail)
    monkeypatch.setattr(module, "kinds", lambda: [broken, *usual[1:]])
    daily = DailyPrune()
    old_session()
    daily.look(Event())
    assert not Session.objects.exists()
    problem = UpkeepProblem.objects.get()
    assert problem.name == "prune job_logs"
    assert problem.name in duty_names()
    assert not SchedulerState.objects.exclude(pruned_at=None).exists()

    monkeypatch.setattr(module, "kinds", lambda: usual)
    UpkeepProblem.objects.update(retry_at=timezone.now())
    daily._upkeep = Upkeep(UpkeepKind.DUTY)
    daily.look(Event())
    assert not UpkeepProblem.objects.exists()
    assert SchedulerState.objects.exclude(pruned_at=None).exists()


def test_nothing_more_is_begun_at_the_end(cast: Cast) -> None:
    stop = Event()
    stop.set()
    old_session()
    DailyPrune().look(stop)
    assert Session.objects.exists()


# -- the command
def test_a_dry_run_changes_nothing_and_says_what_would_go(
    cast: Cast, make_job: JobMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(6):
        old_job(make_job, cast.crew, 31)
    before = all_rows()
    call_command("prune", "--dry-run")
    assert all_rows() == before
    out = capsys.readouterr().out
    assert "3  job logs, 0.0 MB" in out
    assert "3  rows could be removed" in out
    call_command("prune")
    assert "3  rows removed" in capsys.readouterr().out


def test_the_report_names_every_kind(cast: Cast) -> None:
    report = prune(remove=False).as_json()
    assert [kind["kind"] for kind in report["kinds"]] == [
        "job_logs",
        "jobs",
        "audit_events",
        "admin_log_entries",
        "known_base_images",
        "sessions",
        "tokens",
        "invitations",
    ]
    assert report["removed"] is False


# -- a file of SQLite's, by processes as operators run them
MEGABYTES = 24


@dataclass(frozen=True, slots=True)
class Installation:
    folder: Path

    def run(self, *argv: str) -> str:
        done = self.attempt(*argv)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def attempt(self, *argv: str) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("CREWSHIP_", "DJANGO_"))}
        env["CREWSHIP_DATA_DIR"] = str(self.folder)
        env["DJANGO_SETTINGS_MODULE"] = "crewship.settings"
        command = [sys.executable, *argv]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def prune(self, *options: str) -> dict[str, Any]:
        code = f"from crewship.cli.main import app; app(['prune', '--json', *{list(options)!r}])"
        found: dict[str, Any] = json.loads(self.run("-c", code))
        return found

    @property
    def file(self) -> Path:
        return self.folder / "crewship.sqlite3"

    @property
    def bytes(self) -> int:
        """Of the database and its write-ahead log."""
        files = [self.file, self.file.with_name(f"{self.file.name}-wal")]
        return sum(os.stat(file).st_size for file in files if file.exists())

    def ask(self, sql: str) -> Any:
        connection = sqlite3.connect(self.file)
        try:
            return connection.execute(sql).fetchone()[0]
        finally:
            connection.close()

    def seed(self) -> None:
        """Seven jobs of a crew; the logs of the two oldest may go and are nearly all there is."""
        self.run("-c", SEED)


SEED = f"""
import django
django.setup()
from datetime import timedelta
from django.utils import timezone
from cache.models import DockerHost
from crewship.crews.models import Crew
from crewship.workspaces.models import Workspace
from provisioning.models import JobEvent, ProvisionJob
workspace = Workspace.objects.create(slug="acme", name="Acme")
crew = Crew.objects.create(workspace=workspace, slug="crew", name="Crew")
host = DockerHost.objects.create(name="local")
line = "x" * 1023
for number in range(7):
    job = ProvisionJob.objects.create(
        workspace=workspace, crew=crew, host=host, state="completed", config_hash="",
        finished_at=timezone.now() - timedelta(days=31),
    )
    chunks = 16 * {MEGABYTES} // 2 if number < 2 else 1
    JobEvent.objects.bulk_create(
        JobEvent(job=job, seq=seq, kind="log.output", data={{"lines": [line] * 64}})
        for seq in range(1, chunks + 1)
    )
"""


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "data")


def migrated(installation: Installation, *, as_before: bool = False) -> None:
    installation.folder.mkdir()
    if as_before:  # as it was made before the file could give anything back
        connection = sqlite3.connect(installation.file)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE made_before (id INTEGER)")
        connection.commit()
        connection.close()
    installation.run(str(MANAGE), "migrate", "--verbosity", "0")


def test_a_new_file_gives_its_space_back(installation: Installation) -> None:
    migrated(installation)
    empty = installation.bytes
    installation.seed()
    full = installation.bytes
    assert full - empty > MEGABYTES * 1_000_000
    report = installation.prune()
    print(f"new file: {empty=} {full=} after={installation.bytes} {report['seconds']} s")
    assert installation.bytes < empty + 2_000_000
    assert installation.ask("PRAGMA freelist_count") == 0
    assert report["database_bytes_before"] >= full
    assert report["kinds"][0]["rows"] == 16 * MEGABYTES


def test_a_file_of_an_older_version_is_rewritten_once(installation: Installation) -> None:
    migrated(installation, as_before=True)
    installation.seed()
    full = installation.bytes
    assert "prune --vacuum" in installation.run(str(MANAGE), "prune")
    kept = os.stat(installation.file).st_size
    assert kept > MEGABYTES * 1_000_000
    report = installation.prune("--vacuum")
    print(f"old file: {full=} {kept=} after={installation.bytes} {report['seconds']} s")
    assert installation.bytes < 3_000_000
    assert installation.ask("PRAGMA auto_vacuum") == 2
    assert installation.ask("PRAGMA integrity_check") == "ok"
    assert "--vacuum" not in installation.run(str(MANAGE), "prune")


def test_a_dry_run_leaves_the_file(installation: Installation) -> None:
    migrated(installation)
    installation.seed()
    rows = installation.ask("SELECT count(*) FROM provisioning_jobevent")
    assert installation.prune("--dry-run", "--vacuum")["kinds"][0]["rows"] == 16 * MEGABYTES
    assert installation.ask("SELECT count(*) FROM provisioning_jobevent") == rows


def test_a_rewrite_says_that_writers_wait_and_what_it_gave_back(installation: Installation) -> None:
    migrated(installation, as_before=True)
    code = "from crewship.cli.main import app; app(['prune', '--vacuum'])"
    done = installation.attempt("-c", code)
    assert done.returncode == 0
    assert "whoever writes to it waits" in done.stderr
    assert "0  rows removed" in done.stdout
    assert "The database's files had" in done.stdout


def test_without_an_installation_nothing_is_made(installation: Installation) -> None:
    done = installation.attempt("-c", "from crewship.cli.main import app; app(['prune'])")
    assert done.returncode != 0
    assert "There is no database of a server" in done.stderr
    assert not installation.folder.exists()
