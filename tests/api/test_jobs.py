from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from provisioning.states import EventKind, JobState
from provisioning.transitions import record
from tests.cast import Cast, make_crew
from tests.conftest import Api, JobMaker
from tests.problem import problem


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    return b"".join(answer.streaming_content).decode()


def test_a_crews_jobs_come_newest_first(api: Api, cast: Cast, make_job: JobMaker) -> None:
    old = make_job(cast.crew, JobState.FAILED)
    new = make_job(cast.crew, JobState.RUNNING)
    make_job(make_crew(cast.workspace, "other"))
    body = api.vera.get(f"/crews/{cast.crew.pk}/jobs").json()
    assert [job["id"] for job in body["results"]] == [new.pk, old.pk]
    assert (body["next"], body["previous"]) == (None, None)


def test_no_jobs_are_an_empty_list(api: Api, cast: Cast) -> None:
    assert api.vera.get(f"/crews/{cast.crew.pk}/jobs").json()["results"] == []


def test_jobs_are_paged_by_50(api: Api, cast: Cast, make_job: JobMaker) -> None:
    jobs = [make_job(cast.crew, JobState.FAILED) for _ in range(51)]
    first = api.vera.get(f"/crews/{cast.crew.pk}/jobs").json()
    query = first["next"].partition("?")[2]
    second = api.vera.get(f"/crews/{cast.crew.pk}/jobs?{query}").json()
    assert len(first["results"]) == 50
    assert [job["id"] for job in second["results"]] == [jobs[0].pk]


@pytest.mark.parametrize("cursor", ["x", "%00", "bz0x", "cD1hYmM="])
def test_a_bad_cursor_is_no_crash(cursor: str, api: Api, cast: Cast) -> None:
    answer = api.vera.get(f"/crews/{cast.crew.pk}/jobs?cursor={cursor}")
    assert answer.status_code in {200, 400, 404}


def test_a_cancelled_job_is_called_so(api: Api, cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.CANCELLED)
    body = api.vera.get(f"/jobs/{job.pk}").json()
    assert (body["state"], body["crew_id"], body["error"]) == ("cancelled", cast.crew.pk, None)


def test_a_failed_job_has_code_message_and_hint(api: Api, cast: Cast, make_job: JobMaker) -> None:
    job = make_job(
        cast.crew, JobState.FAILED, error="it broke", error_code="x_broke", error_hint="mend it"
    )
    body = api.vera.get(f"/jobs/{job.pk}").json()
    assert body["error"] == {"code": "x_broke", "message": "it broke", "hint": "mend it"}


@pytest.mark.parametrize("job_id", ["job_", "crw_abc", "x", "job_" + "a" * 65])
@pytest.mark.parametrize("part", ["", "/log"])
def test_what_can_be_no_job_id_is_400(job_id: str, part: str, api: Api, cast: Cast) -> None:
    problem(api.vera.get(f"/jobs/{job_id}{part}"), 400, "invalid_id")


@pytest.mark.parametrize("part", ["", "/log"])
def test_a_job_of_nobody_is_404(part: str, api: Api, cast: Cast) -> None:
    problem(api.vera.get(f"/jobs/job_x{part}"), 404)


def test_the_log_is_whole_and_in_order(api: Api, cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    for n in range(300):
        lines = {"lines": [f"line {n}.{m}" for m in range(3)]}
        record(job.pk, [(EventKind.OUTPUT, 3, lines), (EventKind.SYSTEM, 3, {"text": f"= {n}"})])
    text = text_of(api.vera.get(f"/jobs/{job.pk}/log")).split("\n")
    expected = [
        line for n in range(300) for line in (*[f"| line {n}.{m}" for m in range(3)], f"= {n}")
    ]
    assert text == [*expected, ""]


def test_a_log_without_lines_is_empty(api: Api, cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    assert text_of(api.vera.get(f"/jobs/{job.pk}/log")) == ""


def test_the_log_is_never_shown_as_a_page(api: Api, cast: Cast, make_job: JobMaker) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    answer = api.vera.get(f"/jobs/{job.pk}/log")
    assert "attachment" in answer["Content-Disposition"]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_log_that_was_removed_is_gone_and_says_so(
    api: Api, cast: Cast, make_job: JobMaker
) -> None:
    then = datetime(2026, 5, 1, 12, tzinfo=UTC)
    job = make_job(cast.crew, JobState.COMPLETED, log_pruned_at=then)
    body = problem(api.vera.get(f"/jobs/{job.pk}/log"), 410, "log_pruned")
    assert body["detail"] == "The log of this job was removed on 2026-05-01."
    assert body["hint"]
    assert api.vera.get(f"/jobs/{job.pk}").json()["log_pruned_at"] == "2026-05-01T12:00:00Z"
    problem(api.vera.get(f"/crews/{cast.crew.pk}/provision/events?after={job.pk}:3"), 410)


def test_that_a_log_was_removed_is_no_other_workspaces_news(
    api: Api, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.COMPLETED, log_pruned_at=datetime.now(UTC))
    problem(api.mallory.get(f"/jobs/{job.pk}/log"), 404)
