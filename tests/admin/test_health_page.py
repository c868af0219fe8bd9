"""What operators see of the installation's health in the admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from cache.hosts import note_disks
from cache.models import DockerHost
from cache.upkeep import Kind, attempt
from crewship.domain.errors import EngineError
from crewship.engine.disk import DiskSpace
from provisioning.states import JobState
from provisioning.transitions import advance
from provisioning.worker_processes import beat
from tests.admin.pages import Pages, text_of
from tests.cast import Cast
from tests.conftest import JobMaker


def test_all_facts_are_on_one_page(
    admin: Pages, host: DockerHost, cast: Cast, make_job: JobMaker
) -> None:
    beat("worker-1", host.name)
    job = make_job(cast.crew)
    advance(job, JobState.RUNNING, fence=1, worker="worker-1")
    make_job(cast.strange_crew)
    note_disks(host.pk, DiskSpace("/data", 10**11, 5 * 10**10), None)
    page = text_of(admin.client.get("/admin/health/"))
    assert "local" in page
    assert job.pk in page
    assert "data: 50.00 GB of 100.00 GB" in page
    assert "1 waiting" in page
    assert "1 running" in page
    assert "never fetched" in page


def test_a_lost_host_is_said_in_words_with_what_to_do(admin: Pages, host: DockerHost) -> None:
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=7))
    for path in ("/admin/health/", "/admin/"):
        page = text_of(admin.client.get(path))
        assert "The Docker host local does not answer. It was last heard of 7" in page
        assert "Look after the host's engine" in page


def test_the_first_page_leads_to_it(admin: Pages) -> None:
    assert 'href="/admin/health/"' in text_of(admin.client.get("/admin/"))


def test_what_could_not_be_removed_is_named_with_the_reason(admin: Pages, host: DockerHost) -> None:
    def refuses() -> None:
        raise EngineError("It is <busy>.")

    attempt(Kind.CONTAINER, "crewship-job-1", refuses, host)
    page = text_of(admin.client.get("/admin/health/"))
    assert "remove build container crewship-job-1" in page
    assert "It is <busy>." in page


@pytest.mark.parametrize("flags", [{}, {"is_staff": True}], ids=["member", "staff"])
def test_nobody_but_operators_sees_it(cast: Cast, client: Client, flags: dict[str, bool]) -> None:
    type(cast.alice.user).objects.filter(pk=cast.alice.user.pk).update(**flags)
    client.force_login(cast.alice.user)
    answer = client.get("/admin/health/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")
