"""Installations of two sizes side by side, in databases of their own, and one Redis for both.

``prepare_environment()`` comes before Django's settings are read, ``Installation`` after.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

STATES = ("completed", "completed", "completed", "completed", "failed", "cancelled")
EVENTS_A_JOB = 10


@contextmanager
def prepared_environment() -> Iterator[Path]:
    """Django is set up on a data directory that is gone afterwards, its Redis runs."""
    from crewship.cli import embedded_redis

    with tempfile.TemporaryDirectory(prefix="crewship-bench-") as name:
        data = Path(name)
        redis = embedded_redis.prepare(data, data / "run")
        os.environ |= {
            "CREWSHIP_DATA_DIR": name,
            "CREWSHIP_REDIS_URL": redis.url,
            "CREWSHIP_USER_REQUESTS_PER_MINUTE": "10000000",
            "CREWSHIP_ALLOWED_HOSTS": "testserver",
            "CREWSHIP_LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "crewship.settings",
        }
        server = subprocess.Popen(redis.argv, stdout=subprocess.DEVNULL)
        try:
            import django

            django.setup()
            yield data
        finally:
            server.terminate()
            server.wait()


class Installation:
    """A migrated database with an operator, a workspace, crews, jobs and their events."""

    def __init__(self, data: Path, crews: int, jobs: int) -> None:
        self.file = data / f"crews-{crews}-jobs-{jobs}.sqlite3"
        self.use()
        self._fill(crews, jobs)

    def use(self) -> None:
        """The database that Django speaks to from now on, in this thread."""
        from django.db import connection

        connection.close()
        connection.settings_dict["NAME"] = self.file

    def fill_log(self) -> None:
        """The crew's job has printed as much as a log may have, and more."""
        from provisioning.emitter import EventEmitter
        from provisioning.models import ProvisionJob

        self.use()
        job = ProvisionJob.objects.filter(crew_id=self.crew_id).latest("id")
        row = ProvisionJob.objects.filter(pk=job.pk)
        row.update(state="running", last_seq=EVENTS_A_JOB + 1)
        emit = EventEmitter(job_id=job.pk, fence=job.fence, lost=Event())
        for _ in range(50):
            emit.output(["x" * 3990] * 100)
            emit.flush()
        row.update(state=job.state)

    def _fill(self, crews: int, jobs: int) -> None:
        from django.core.management import call_command
        from django.db import connection

        from cache.models import DockerHost
        from crewship.crews.models import Crew
        from crewship.crews.services import create_crew
        from crewship.domain.roles import Role
        from crewship.workspaces.models import Membership, User, Workspace
        from crewship.workspaces.tokens import make_token
        from provisioning.models import JobEvent, ProvisionJob

        call_command("migrate", verbosity=0, database="default")
        self.operator = User.objects.create_superuser("operator@example.com", "operator")
        workspace = Workspace.objects.create(slug="bench", name="Bench")
        Membership.objects.create(workspace=workspace, user=self.operator, role=Role.OWNER)
        _, self.token = make_token(user=self.operator, name="bench")
        config = '{"image": "debian:bookworm-slim"}'
        crew, _ = create_crew(
            workspace, {"name": "crew", "slug": "crew", "devcontainer_config": config}
        )
        self.crew_id = crew.pk
        host = DockerHost.objects.create(name="local")
        job = ProvisionJob.objects.create(
            workspace=workspace, crew=crew, host=host, config_hash=crew.config_hash or "",
            devcontainer_config=config, state="completed",
        )  # fmt: skip
        JobEvent.objects.create(job=job, seq=1, kind="log.output", data={"lines": ["x" * 200]})
        case = " ".join(f"WHEN {i} THEN '{state}'" for i, state in enumerate(STATES))
        with connection.cursor() as cursor:
            _copy_row(cursor, Crew, crews - 1, {
                "id": "printf('crw_%026d', i)", "slug": "printf('crew-%d', i)",
            })  # fmt: skip
            _copy_row(cursor, ProvisionJob, jobs - 1, {
                "id": "printf('job_%026d', i)",
                "crew_id": f"CASE WHEN i % {crews} = 0 THEN crew_id "
                f"ELSE printf('crw_%026d', i % {crews}) END",
                "state": f"CASE i % {len(STATES)} {case} END",
            })  # fmt: skip
            cursor.execute(
                "INSERT INTO provisioning_jobevent (job_id, seq, kind, step, data, at) "
                f"{_numbers(EVENTS_A_JOB)} SELECT j.id, n.i + 1, e.kind, e.step, e.data, e.at "
                "FROM provisioning_provisionjob j, n, provisioning_jobevent e "
                "WHERE e.seq = 1 AND j.id LIKE 'job_0%'"
            )
            cursor.execute("ANALYZE")


def _numbers(last: int) -> str:
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {last})"


def _copy_row(cursor: Any, model: Any, times: int, changed: dict[str, str]) -> None:
    """The table's one row again and again, with these columns as SQL of ``i``."""
    if times < 1:
        return
    columns = [field.column for field in model._meta.concrete_fields]
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(changed.get(column, f'"{column}"') for column in columns)
    table = model._meta.db_table
    cursor.execute(
        f"INSERT INTO {table} ({names}) {_numbers(times)} SELECT {values} FROM {table}, n"
    )
