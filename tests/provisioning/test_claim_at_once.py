"""Workers that claim at one moment, on PostgreSQL: its transactions really run side by side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.utils import timezone

from cache.models import DockerHost
from crewship.crews.models import Crew
from provisioning.claim import claim_next
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from provisioning.worker_processes import beat
from tests.cast import make_cast, make_crew

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.usefixtures("postgres_db"),
    pytest.mark.timeout(600),
]
ROUNDS = 15


def at_once(count: int, act: Callable[[], object]) -> None:
    """All have returned; whatever one raises is raised here."""
    barrier = Barrier(count)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            barrier.wait()
            act()
        except BaseException as err:  # noqa: BLE001  # raised below
            errors.append(err)
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


@pytest.fixture
def lively_host() -> DockerHost:
    ahead = timezone.now() + timedelta(days=1)
    return DockerHost.objects.create(name="local", platform="linux/amd64", heartbeat_at=ahead)


def test_no_workspace_gets_all_workers_at_once(lively_host: DockerHost) -> None:
    cast = make_cast()
    for number in range(4):
        beat(f"worker-{number}", lively_host.name)
    other = make_crew(cast.strange_workspace, "earlier")
    crews = [make_crew(cast.workspace, f"crew-{n}") for n in range(6)]
    for _ in range(ROUNDS):
        ProvisionJob.objects.all().delete()
        _job(lively_host, other, JobState.COMPLETED)
        for crew in crews:
            _job(lively_host, crew)
        at_once(4, lambda: claim_next(lively_host.pk, "w"))
        assert ProvisionJob.objects.filter(state=JobState.RUNNING).count() == 3


def test_leader_and_follower_never_run_both(lively_host: DockerHost) -> None:
    cast = make_cast()
    one, two = make_crew(cast.workspace, "one"), make_crew(cast.strange_workspace, "two")
    for _ in range(ROUNDS):
        ProvisionJob.objects.all().delete()
        leader = _job(lively_host, one)
        follower = _job(lively_host, two, leader=leader)
        at_once(4, lambda: claim_next(lively_host.pk, "w"))
        leader.refresh_from_db()
        follower.refresh_from_db()
        runs, waits = (leader, follower) if leader.state == JobState.RUNNING else (follower, leader)
        assert (runs.state, runs.leader_id) == (JobState.RUNNING, None)
        assert (waits.state, waits.leader_id) == (JobState.PENDING, runs.pk)


def _job(
    host: DockerHost,
    crew: Crew,
    state: JobState = JobState.PENDING,
    leader: ProvisionJob | None = None,
) -> ProvisionJob:
    return ProvisionJob.objects.create(
        crew=crew,
        workspace=crew.workspace,
        host=host,
        config_hash="h",
        state=state,
        leader=leader,
    )
