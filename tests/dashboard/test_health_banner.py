"""The banner of every page while nothing can be provisioned, and what open pages ask."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cache.models import DockerHost
from crewship.workspaces.models import User
from provisioning.worker_processes import beat
from tests.cast import Cast
from tests.dashboard.conftest import Browse

WORDS = "Nothing can be provisioned now."


@pytest.fixture
def lost(host: DockerHost) -> DockerHost:
    beat("worker-1", host.name)
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=3))
    return host


@pytest.mark.parametrize("path", ["", "images", "tokens", "crews/backend/", "live"])
def test_every_page_says_it_to_every_member(lost: DockerHost, browse: Browse, path: str):
    page = browse.vera.get(f"/w/acme/{path}").content.decode()
    assert WORDS in page
    assert "The Docker host local does not answer." in page
    assert "3 min ago" in page
    assert "For operators: Look after the host" in page
    assert "/admin/health/" not in page


def test_operators_are_led_to_the_page_with_more(lost: DockerHost, cast: Cast, browse: Browse):
    User.objects.filter(pk=cast.alice.user.pk).update(is_superuser=True, is_staff=True)
    assert 'href="/admin/health/"' in browse.alice.get("/w/acme/").content.decode()


def test_nothing_is_said_while_jobs_run(host: DockerHost, browse: Browse):
    beat("worker-1", host.name)
    for path in ("", "live"):
        assert WORDS not in browse.vera.get(f"/w/acme/{path}").content.decode()


def test_a_host_without_workers_is_said_too(host: DockerHost, browse: Browse):
    page = browse.vera.get("/w/acme/").content.decode()
    assert "No worker runs on the Docker host local." in page


def test_whether_the_server_answers_is_asked_without_sign_in(browse: Browse):
    answer = browse.nobody.get("/ping")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "no-store" in answer["Cache-Control"]
