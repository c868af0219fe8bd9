"""GET provision: which members are there when, and what they say."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.asserts import assertNumQueries

from cache.models import CachedImage, HostImage
from crewship.crews.models import Agent, Crew
from provisioning.models import ProvisionJob
from provisioning.selectors import provision_status
from provisioning.states import EventKind, JobState
from provisioning.transitions import record
from tests.cast import CONFIG, Cast
from tests.conftest import Api, JobMaker, image_id_of

ALWAYS = {
    "status", "devcontainer_config", "cached_image", "config_hash", "agents_pending_restart",
}  # fmt: skip
WITH_JOB = ALWAYS | {"step", "total", "message", "steps", "log_tail"}
STEPS = ["validate", "pull-base", "install-features", "install-mise", "snapshot", "tag"]


@pytest.fixture
def status(api: Api, cast: Cast) -> Any:
    return lambda: api.vera.get(f"/crews/{cast.crew.pk}/provision").json()


def test_a_crew_without_job_has_the_bare_members(status: Any, cast: Cast) -> None:
    assert status() == {
        "status": "idle",
        "devcontainer_config": CONFIG,
        "cached_image": None,
        "config_hash": cast.crew.config_hash,
        "agents_pending_restart": 0,
    }


def test_a_crew_without_config_is_idle(status: Any, cast: Cast) -> None:
    Crew.objects.update(devcontainer_config=None, config_hash=None)
    body = status()
    assert (body["status"], body["config_hash"]) == ("idle", None)


@pytest.mark.parametrize(
    ("state", "members"),
    [
        (JobState.PENDING, WITH_JOB),
        (JobState.RUNNING, WITH_JOB | {"started_at"}),
        (JobState.COMPLETED, WITH_JOB | {"started_at", "completed_at"}),
        (JobState.FAILED, WITH_JOB | {"started_at", "completed_at", "error"}),
        (JobState.CANCELLED, WITH_JOB | {"started_at"}),
    ],
)
def test_members_are_there_or_absent_but_never_null(
    state: JobState, members: set[str], status: Any, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew, state, error="broke" if state == JobState.FAILED else "")
    body = status()
    assert set(body) == members
    assert [name for name in members - ALWAYS if body[name] is None] == []
    assert (body["steps"], body["total"]) == (STEPS, 6)
    assert all(body[name].endswith("Z") for name in members if name.endswith("_at"))


@pytest.mark.parametrize(
    ("state", "image", "shown"),
    [
        (JobState.PENDING, True, "pending"),
        (JobState.RUNNING, True, "running"),
        (JobState.COMPLETED, True, "completed"),
        (JobState.COMPLETED, False, "idle"),
        (JobState.FAILED, True, "failed"),
        (JobState.FAILED, False, "failed"),
        (JobState.CANCELLED, True, "completed"),
        (JobState.CANCELLED, False, "idle"),
    ],
)
def test_the_status_follows_job_and_image(
    state: JobState,
    image: bool,
    shown: str,
    status: Any,
    cast: Cast,
    make_job: JobMaker,
    cached: CachedImage,
) -> None:
    make_job(cast.crew, state)
    if not image:
        HostImage.objects.all().delete()
    body = status()
    assert body["status"] == shown
    assert body["cached_image"] == (cached.tag if image else None)


def test_a_finished_job_is_forgotten_when_the_config_changes(
    status: Any, api: Api, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew, JobState.FAILED, error="broke")
    api.mona.patch(f"/crews/{cast.crew.pk}", {"devcontainer_config": '{"image": "debian:sid"}'})
    body = status()
    assert (body["status"], set(body)) == ("idle", ALWAYS)


def test_a_running_job_is_shown_though_the_config_changed(
    status: Any, api: Api, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew, JobState.RUNNING)
    api.mona.patch(f"/crews/{cast.crew.pk}", {"devcontainer_config": '{"image": "debian:sid"}'})
    assert status()["status"] == "running"


def test_the_latest_job_counts(status: Any, cast: Cast, make_job: JobMaker) -> None:
    make_job(cast.crew, JobState.FAILED, error="old")
    make_job(cast.crew, JobState.RUNNING, step=3, message="installing (2 of 3: node)")
    body = status()
    assert (body["status"], body["step"]) == ("running", 3)
    assert body["message"] == "installing (2 of 3: node)"
    assert "error" not in body


def log(job: ProvisionJob, count: int, length: int = 10) -> None:
    lines = [f"{n}:".ljust(length, "x") for n in range(count)]
    chunks = [lines[i : i + 20] for i in range(0, count, 20)]
    record(job.pk, [(EventKind.OUTPUT, 3, {"lines": chunk}) for chunk in chunks])


def test_the_tail_has_the_last_50_lines(status: Any, cast: Cast, make_job: JobMaker) -> None:
    log(make_job(cast.crew, JobState.RUNNING), 130)
    tail = status()["log_tail"]
    assert len(tail) == 50
    assert tail[-1].startswith("| 129:")
    assert tail[0].startswith("| 80:")


def test_a_line_of_the_tail_has_500_characters(status: Any, cast: Cast, make_job: JobMaker) -> None:
    log(make_job(cast.crew, JobState.RUNNING), 1, 2000)
    assert [len(line) for line in status()["log_tail"]] == [500]


def test_system_lines_are_told_from_output(status: Any, cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    record(
        job.pk,
        [
            (EventKind.OUTPUT, 3, {"lines": ["Feature fake installed", "\x1b[31mred\x1b[0m"]}),
            (EventKind.SYSTEM, 3, {"text": "Feature python installed"}),
        ],
    )
    assert status()["log_tail"] == [
        "| Feature fake installed",
        "| red",
        "Feature python installed",
    ]


def test_agents_on_another_image_are_pending_restart(
    status: Any, cast: Cast, cached: CachedImage
) -> None:
    for name, image in [("on-it", cached.image_id), ("on-old", image_id_of("old")), ("off", "")]:
        Agent.objects.create(crew=cast.crew, name=name, live_image_id=image)
    assert status()["agents_pending_restart"] == 1


def test_it_asks_few_queries(api: Api, cast: Cast, make_job: JobMaker, cached: CachedImage) -> None:
    log(make_job(cast.crew, JobState.RUNNING), 500)
    path = f"/crews/{cast.crew.pk}/provision"
    api.vera.get(path)
    with assertNumQueries(7):
        api.vera.get(path)


def test_a_job_that_ended_after_the_crew_was_read_is_not_idle(
    cast: Cast, cached: CachedImage, make_job: JobMaker
) -> None:
    """Whoever waits for the end would take it for a build that was cancelled."""
    make_job(cast.crew, JobState.COMPLETED)
    read_before = Crew.objects.get(pk=cast.crew.pk)
    read_before.cached_image = None
    seen = provision_status(read_before)
    assert (seen.status, seen.cached_image) == ("completed", cached.tag)
