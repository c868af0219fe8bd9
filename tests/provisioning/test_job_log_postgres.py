"""The bounded log on PostgreSQL."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from cache.models import DockerHost
from provisioning.history import events_from
from provisioning.models import ProvisionJob
from provisioning.selectors import log_lines
from provisioning.states import JobState
from tests.cast import make_cast
from tests.provisioning.test_job_log import emitter, flood, gap, output

pytestmark = pytest.mark.postgres


@pytest.fixture
def job(postgres_db: str, settings: Any) -> ProvisionJob:
    """A running job that may keep 1 MiB of output."""
    limits = dataclasses.replace(settings.CREWSHIP.limits, job_log_mb=1)
    settings.CREWSHIP = dataclasses.replace(settings.CREWSHIP, limits=limits)
    crew = make_cast().crew
    return ProvisionJob.objects.create(
        workspace=crew.workspace,
        crew=crew,
        host=DockerHost.objects.create(name="elsewhere"),
        state=JobState.RUNNING,
        fence=1,
        config_hash="0" * 64,
        devcontainer_config="{}",
    )


def test_the_beginning_and_the_end_stay_whoever_writes(job: ProvisionJob) -> None:
    printed = flood(emitter(job), 3)
    printed += flood(emitter(job), 1, printed)  # another worker
    kept = output(job)
    assert [int(line) for line in kept[:200]] == list(range(200))
    assert [int(line) for line in kept[-600:]] == list(range(printed - 600, printed))
    assert gap(job).data["lines"] == printed - len(kept)
    assert sum(not line.startswith("| ") for line in log_lines(job)) == 1


def test_who_reads_on_inside_the_gap_meets_it_once(job: ProvisionJob) -> None:
    flood(emitter(job), 3)
    edge = gap(job).seq
    events, _ = events_from(job.pk, edge - 2)
    assert [event.kind for event in events].count("log_gap") == 1
    assert events[0].seq == edge


def test_text_of_any_alphabet_is_kept(job: ProvisionJob) -> None:
    emit = emitter(job)
    emit.output(["語é😀", "\x1b[31mred\x1b[0m", "half \ud800 of a pair"])
    emit.flush()
    assert output(job) == ["語é😀", "\x1b[31mred\x1b[0m", "half ? of a pair"]
