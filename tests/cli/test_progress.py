"""What a watch knows of a job, from events and from polls."""

from __future__ import annotations

from typing import Any

import pytest

from crewship.cli.progress import STEPS, Progress
from provisioning.pipeline.execute import LABELS

JOB = "job_1"


class Told:
    """Events of one job, numbered as they come, a second apart."""

    def __init__(self, job: str = JOB) -> None:
        self.job = job
        self.seq = 0

    def __call__(self, kind: str, step: int = 0, **data: Any) -> dict[str, Any]:
        self.seq += 1
        return {
            "job_id": self.job,
            "seq": self.seq,
            "kind": kind,
            "step": step,
            "at": f"2026-01-01T00:00:{self.seq:02}Z",
            "data": data,
        }


def words(progress: Progress) -> list[str]:
    return [step.mark.word for step in progress.steps]


def job(**fields: Any) -> dict[str, Any]:
    usual = {"id": JOB, "state": "running", "step": 0, "message": "", "cache_hit": False}
    return {**usual, **fields}


def test_the_steps_are_those_of_the_pipeline() -> None:
    assert STEPS == LABELS


def test_steps_run_are_done_and_take_their_time() -> None:
    progress, told = Progress(), Told()
    progress.take(told("job.state", state="running"))
    progress.take(told("step.started", 1, message="checking"))
    progress.take(told("step.done", 1))
    progress.take(told("step.started", 2, message="fetching"))
    assert words(progress)[:3] == ["done", "running", "waiting"]
    assert progress.steps[0].seconds(progress.now()) == 1
    assert progress.message == "fetching"


def test_a_message_replaces_the_one_before() -> None:
    progress, told = Progress(), Told()
    progress.take(told("step.started", 3, message="installing"))
    progress.take(told("step.message", 3, message="installing (2 of 3: node)\x1b[31m"))
    assert progress.message == "installing (2 of 3: node)"


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_the_running_step_ends_as_the_job(state: str) -> None:
    progress, told = Progress(), Told()
    progress.take(told("step.started", 3, message="installing"))
    progress.take(told("job.state", state=state))
    assert words(progress) == ["done", "done", state, "waiting", "waiting", "waiting"]


def test_a_hit_has_all_steps_done_and_no_time() -> None:
    progress, told = Progress(), Told()
    progress.take(told("cache.hit"))
    progress.take(told("job.state", state="completed"))
    assert set(words(progress)) == {"done"}
    assert progress.was_there
    assert progress.steps[0].seconds(progress.now()) is None


def test_a_job_that_goes_back_to_pending_begins_anew() -> None:
    progress, told = Progress(), Told()
    progress.take(told("step.started", 3, message="installing"))
    progress.take(told("job.state", state="pending"))
    assert set(words(progress)) == {"waiting"}


def test_an_event_that_was_told_has_no_lines_again() -> None:
    progress, told = Progress(), Told()
    event = told("log.output", 3, lines=["a", "b"])
    assert progress.take(event) == ["| a", "| b"]
    assert progress.take(event) == []


def test_lines_of_a_whole_log_are_not_told_again_by_events() -> None:
    progress, told = Progress(), Told()
    first = told("log.system", text="one")
    assert progress.take(first) == ["one"]
    assert progress.take_log(["one", "| two", "| three"]) == ["| two", "| three"]
    assert progress.take(told("log.output", 3, lines=["two"])) == []
    assert progress.take(told("log.output", 3, lines=["three", "four"])) == ["| four"]


def test_lines_have_no_control_characters() -> None:
    progress, told = Progress(), Told()
    hostile = "\x1b[2J\x1b]0;title\x07red\x1b[31m\u202etxt"
    assert progress.take(told("log.output", 3, lines=[hostile])) == ["| redtxt"]


def test_another_job_begins_anew() -> None:
    progress = Progress()
    progress.take(Told()("step.started", 3, message="installing"))
    assert progress.take(Told("job_2")("log.system", text="hello")) == ["hello"]
    assert (progress.job_id, set(words(progress))) == ("job_2", {"waiting"})


def test_polls_show_the_same_steps() -> None:
    progress = Progress()
    progress.take_job(job(step=2, message="fetching"))
    assert words(progress)[:3] == ["done", "running", "waiting"]
    progress.take_job(job(step=4, message="mise"))
    assert words(progress)[:4] == ["done", "done", "done", "running"]
    progress.take_job(job(step=4, state="failed"))
    assert words(progress)[3] == "failed"


def test_an_unheard_kind_changes_nothing() -> None:
    progress, told = Progress(), Told()
    assert progress.take(told("planet.aligned", 9, x=1)) == []
    assert progress.take(told("step.started", 9, message="later")) == []
    assert progress.seq == 2


GAP = {"lines": 90, "bytes": 9000}
GAP_LINE = "Missing here: 90 lines, 9000 bytes. The log was too long."


def test_missing_output_is_one_line() -> None:
    progress, told = Progress(), Told()
    assert progress.take(told("log.output", 3, lines=["a"])) == ["| a"]
    assert progress.take(told("log_gap", 3, **GAP)) == [GAP_LINE]
    assert progress.take(told("log.output", 3, lines=["b"])) == ["| b"]


def test_a_whole_log_that_lost_lines_meanwhile_repeats_and_skips_none() -> None:
    progress = Progress()
    progress.take_log([f"| {n}" for n in range(100)])
    grown = ["| 0", "| 1", GAP_LINE, *(f"| {n}" for n in range(92, 105))]
    assert progress.take_log(grown) == [f"| {n}" for n in range(100, 105)]


def test_a_whole_log_that_lost_what_was_not_shown_says_so() -> None:
    progress = Progress()
    progress.take_log(["| 0", "| 1", "| 2"])
    grown = ["| 0", "| 1", GAP_LINE, "| 92"]
    assert progress.take_log(grown) == [GAP_LINE, "| 92"]


def test_a_line_of_the_longest_length_is_shown_whole() -> None:
    progress, told = Progress(), Told()
    assert progress.take(told("log.output", 3, lines=["x" * 4000])) == ["| " + "x" * 4000]
