"""Jobs: read-only pages with the log and what happened; cancelled through the service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import reverse

from crewship.domain.errors import CrewshipError
from provisioning.finish import fail
from provisioning.models import ProvisionJob
from provisioning.states import EventKind, JobState
from provisioning.transitions import record
from tests.admin.pages import Pages, messages_of, text_of
from tests.cast import Cast
from tests.conftest import JobMaker


@pytest.fixture
def job(cast: Cast, make_job: JobMaker) -> ProvisionJob:
    job = make_job(cast.crew, JobState.RUNNING)
    record(
        job.pk,
        [
            (EventKind.STEP_STARTED, 3, {"message": "installing features"}),
            (EventKind.SYSTEM, 3, {"text": "Feature python installed"}),
            (EventKind.OUTPUT, 3, {"lines": ["\x1b[32mgreen\x1b[0m", "<script>alert(1)</script>"]}),
            (EventKind.LAYER, 3, {"label": "python", "key": "a" * 64, "hit": False, "seconds": 2}),
        ],
    )
    return job


def log_url(job_id: str) -> str:
    return reverse("admin:provisioning_provisionjob_log", args=[job_id])


def test_the_page_shows_the_log_without_colours(admin: Pages, job: ProvisionJob):
    page = text_of(admin.page(job))
    assert "Feature python installed\n| green\n" in page


def test_output_is_escaped(admin: Pages, job: ProvisionJob):
    assert b"<script>alert(1)" not in admin.page(job).content


def test_the_page_sums_up_the_events(admin: Pages, job: ProvisionJob):
    page = text_of(admin.page(job))
    assert "install-features" in page
    assert "label: python, key: aaaaaaaaaaaa…, hit: no, seconds: 2" in page


def test_the_page_shows_error_code_and_hint(admin: Pages, job: ProvisionJob):
    fail(job, CrewshipError("It broke.", code="build_step_failed", hint="Mend it."))
    page = text_of(admin.page(job))
    assert "It broke.</pre>[build_step_failed] Mend it." in page


def test_the_whole_log_is_a_download(admin: Pages, job: ProvisionJob):
    answer: Any = admin.client.get(log_url(job.pk))
    text = b"".join(answer.streaming_content).decode()
    assert text.splitlines()[0] == "Feature python installed"
    assert answer["Content-Disposition"] == f'attachment; filename="{job.pk}.log"'


def test_the_log_of_no_job_is_not_found(admin: Pages):
    assert admin.client.get(log_url("job_none")).status_code == 404


def test_the_log_is_for_superusers(admin: Pages, cast: Cast, job: ProvisionJob):
    admin.client.force_login(cast.alice.user)
    assert admin.client.get(log_url(job.pk)).status_code == 302


def test_a_job_is_not_made_changed_or_deleted(admin: Pages, job: ProvisionJob, machine_url: Any):
    answer = admin.client.post(machine_url(job), {"post": "yes", "state": "completed"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state__exact": "running"}, 1),
        ({"state__exact": "failed"}, 0),
        ({"q": "backend"}, 1),
        ({"q": "strange"}, 0),
    ],
)
def test_the_list_is_narrowed(admin: Pages, job: ProvisionJob, query: dict[str, str], found: int):
    assert admin.list(ProvisionJob, **query).context["cl"].result_count == found


def test_the_list_is_narrowed_to_a_workspace(
    admin: Pages, cast: Cast, job: ProvisionJob, make_job: JobMaker
):
    make_job(cast.strange_crew)
    rows = admin.list(ProvisionJob, workspace__id__exact=cast.workspace.pk).context["cl"]
    assert [row.pk for row in rows.result_list] == [job.pk]


def test_a_job_is_found_by_its_id(admin: Pages, job: ProvisionJob):
    assert admin.list(ProvisionJob, q=job.pk).context["cl"].result_count == 1


def test_cancel_ends_the_job(admin: Pages, job: ProvisionJob):
    assert messages_of(admin.act("cancel", job)) == [f"success: “{job.pk}”: cancelled."]
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED


def test_cancelling_an_old_job_leaves_the_crews_new_one_alone(
    admin: Pages, cast: Cast, make_job: JobMaker
):
    old = make_job(cast.crew, JobState.COMPLETED)
    new = make_job(cast.crew, JobState.RUNNING)
    admin.act("cancel", old)
    new.refresh_from_db()
    assert new.state == JobState.RUNNING


@pytest.mark.parametrize(("state", "offered"), [("running", True), ("completed", False)])
def test_only_an_active_jobs_page_offers_to_cancel(
    admin: Pages, cast: Cast, make_job: JobMaker, state: str, offered: bool
):
    page = admin.page(make_job(cast.crew, JobState(state)))
    assert bool(page.context["page_verbs"]) is offered


def test_times_are_written_to_the_second_with_their_zone(admin: Pages, job: ProvisionJob):
    assert f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC" in text_of(admin.page(job))


def test_of_a_log_that_was_removed_the_page_and_the_download_say_when(
    admin: Pages, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.COMPLETED, log_pruned_at=datetime(2026, 5, 1, tzinfo=UTC))
    page = text_of(admin.page(job))
    assert "It was removed on 2026-05-01" in page
    assert log_url(job.pk) not in page
    answer = admin.client.get(log_url(job.pk))
    assert answer.status_code == 410
    assert answer.content == b"The log of this job was removed on 2026-05-01.\n"
