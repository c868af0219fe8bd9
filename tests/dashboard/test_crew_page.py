"""A crew's page: checklist, log, reasons, verbs, and what is whose."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from cache.models import CachedImage
from crewship.dashboard.ansi import render_line
from provisioning.explain import explain_miss
from provisioning.history import checklist, log_before
from provisioning.models import JobEvent, ProvisionJob
from provisioning.states import EventKind, JobState
from provisioning.transitions import record
from tests.cast import Cast
from tests.conftest import JobMaker
from tests.dashboard.conftest import Browse

PAGE = "/w/acme/crews/backend/"


def layer_event(key: str, label: str = "node:1", *, hit: bool = False, kind: str = "feature"):
    data = {"kind": kind, "label": label, "key": key, "hit": hit, "seconds": 2.0}
    return (EventKind.LAYER, 3, data)


@pytest.fixture
def running(cast: Cast, make_job: JobMaker) -> ProvisionJob:
    job = make_job(cast.crew, JobState.RUNNING, step=3, message="installing")
    record(
        job.pk,
        [
            (EventKind.STATE, 0, {"state": "running"}),
            (EventKind.STEP_STARTED, 1, {"message": "checking"}),
            (EventKind.STEP_DONE, 1, {}),
            (EventKind.STEP_STARTED, 3, {"message": "installing"}),
            (EventKind.SYSTEM, 3, {"text": "Feature node installed"}),
            (EventKind.OUTPUT, 3, {"lines": ["<script>alert(1)</script>", "\x1b[31mred\x1b[0m"]}),
        ],
    )
    return job


def test_the_checklist_has_every_step_with_its_state(running: ProvisionJob):
    assert [step.phase for step in checklist(running)] == [
        "done", "waiting", "running", "waiting", "waiting", "waiting",
    ]  # fmt: skip


def test_a_job_that_began_again_shows_its_last_try(running: ProvisionJob):
    record(running.pk, [(EventKind.STATE, 0, {"state": "pending"})])
    assert {step.phase for step in checklist(running)} == {"waiting"}


def test_a_failed_step_is_marked(cast: Cast, make_job: JobMaker):
    job = make_job(cast.crew, JobState.FAILED, step=2)
    started = (EventKind.STEP_STARTED, 2, {"message": "x"})
    record(job.pk, [started, (EventKind.STEP_FAILED, 2, {"error": "no"})])
    assert checklist(job)[1].phase == "failed"


def test_output_is_text_and_our_lines_differ_by_structure(browse: Browse, running: ProvisionJob):
    page = browse.vera.get(PAGE).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '<span class="f1">red</span>' in page
    assert '<span class="who">crewship</span> Feature node installed' in page


def test_the_page_says_from_where_to_follow(browse: Browse, running: ProvisionJob):
    page = browse.vera.get(PAGE).content.decode()
    assert 'data-seq="6"' in page
    assert f'data-job="{running.pk}"' in page


def test_only_the_newest_lines_are_in_the_page_and_the_rest_can_be_asked_for(
    browse: Browse, running: ProvisionJob
):
    chunks = [(EventKind.OUTPUT, 3, {"lines": [f"n{c}-{i}" for i in range(200)]}) for c in range(9)]
    record(running.pk, chunks)
    page = browse.vera.get(PAGE).content.decode()
    assert "n8-199" in page
    assert "n0-0\n" not in page
    first = log_before(running, None, 1000).first
    answer = browse.vera.get(f"/w/acme/jobs/{running.pk}/events?before={first}").json()
    seqs = [event["seq"] for event in answer["events"]]
    assert seqs[-1] == first - 1
    assert seqs[0] == 1
    assert answer["earlier"] is False


def test_later_events_are_asked_for_by_seq(browse: Browse, running: ProvisionJob):
    answer = browse.vera.get(f"/w/acme/jobs/{running.pk}/events?after=4").json()
    assert [event["seq"] for event in answer["events"]] == [5, 6]
    assert answer["ended"] is False


@pytest.mark.parametrize("query", ["after=x", "before=-1", "after=99999999999999", "after=²"])
def test_a_strange_seq_is_no_error(browse: Browse, running: ProvisionJob, query: str):
    assert browse.vera.get(f"/w/acme/jobs/{running.pk}/events?{query}").status_code == 200


def test_a_strangers_job_and_crew_are_not_found(
    cast: Cast, browse: Browse, running: ProvisionJob, make_job: JobMaker
):
    strange = make_job(cast.strange_crew, JobState.RUNNING)
    assert browse.vera.get(f"/w/acme/jobs/{strange.pk}/events").status_code == 404
    assert browse.vera.get(f"{PAGE}?job={strange.pk}").status_code == 404
    assert browse.vera.get("/w/acme/crews/strange/").status_code == 404
    assert browse.mallory.get(PAGE).status_code == 404


def test_a_failure_shows_code_reason_and_hint(cast: Cast, browse: Browse, make_job: JobMaker):
    make_job(
        cast.crew,
        JobState.FAILED,
        error="exit code 3\nlast words",
        error_code="build_step_failed",
        error_hint="Try another version.",
    )
    page = browse.vera.get(PAGE).content.decode()
    for text in ("The build failed", "exit code 3\nlast words", "build_step_failed", "Try another"):
        assert text in page


# -- verbs
def test_a_manager_provisions(cast: Cast, browse: Browse, host):
    answer = browse.mona.post(f"{PAGE}provision")
    assert answer["Location"] == PAGE
    assert ProvisionJob.objects.get().requested_by == cast.mona.user


def test_a_hit_is_told(browse: Browse, cached: CachedImage):
    answer = browse.mona.post(f"{PAGE}provision", follow=True)
    assert "its image was in the cache" in answer.content.decode()


def test_a_second_start_is_refused_with_what_to_do(browse: Browse, running: ProvisionJob):
    page = browse.mona.post(f"{PAGE}provision", follow=True).content.decode()
    assert "already in progress" in page
    assert "Wait for the running job, or cancel it." in page
    assert ProvisionJob.objects.count() == 1


def test_no_docker_host_is_told(browse: Browse):
    page = browse.mona.post(f"{PAGE}provision", follow=True).content.decode()
    assert "No Docker host is registered." in page


def test_cancel_and_rebuild(cast: Cast, browse: Browse, running: ProvisionJob):
    browse.mona.post(f"{PAGE}cancel")
    running.refresh_from_db()
    assert running.state == JobState.CANCELLED
    browse.mona.post(f"{PAGE}rebuild")
    assert ProvisionJob.objects.order_by("-id")[0].rebuild


@pytest.mark.parametrize("verb", ["provision", "rebuild", "cancel", "restart-agents", "agents"])
@pytest.mark.parametrize(("name", "status"), [("bob", 403), ("vera", 403), ("mallory", 404)])
def test_who_may_not_is_refused(browse: Browse, host, verb: str, name: str, status: int):
    assert getattr(browse, name).post(f"{PAGE}{verb}").status_code == status
    assert not ProvisionJob.objects.exists()


@pytest.mark.parametrize("verb", ["provision", "rebuild", "cancel", "restart-agents", "agents"])
def test_verbs_need_a_post(browse: Browse, verb: str):
    assert browse.mona.get(f"{PAGE}{verb}").status_code == 405


def test_agents_are_added_and_their_problems_told(cast: Cast, browse: Browse):
    url = f"{PAGE}agents"
    browse.mona.post(url, {"name": "coder", "command": "sleep 1"})
    assert cast.crew.agents.get().name == "coder"
    page = browse.mona.post(url, {"name": "coder", "command": ""}, follow=True).content.decode()
    assert "Another agent of the crew has it." in page


def test_logs_of_agents_are_not_for_viewers(cast: Cast, browse: Browse):
    browse.mona.post(f"{PAGE}agents", {"name": "coder", "command": "sleep 1"})
    assert browse.bob.get(f"{PAGE}agents/coder").status_code == 200
    assert browse.vera.get(f"{PAGE}agents/coder").status_code == 403


# -- why it was no hit
def test_a_changed_option_explains_the_miss(cast: Cast, host, make_job: JobMaker):
    from cache.models import Layer

    for key, version in (("a", "20"), ("b", "22")):
        Layer.objects.create(
            host=host,
            key=key,
            tag=f"crewship-layer:{key}",
            kind="feature",
            label="node:1",
            parts={"options": {"VERSION": version}, "digest": "sha256:1"},
            job_id="job_x",
            last_used_at="2026-01-01T00:00:00Z",
        )
    record(make_job(cast.crew, JobState.COMPLETED).pk, [layer_event("a")])
    job = make_job(cast.crew, JobState.COMPLETED)
    record(job.pk, [layer_event("b"), layer_event("c", "final", kind="final")])
    miss = explain_miss(job)
    assert miss is not None
    assert miss.reasons[0] == "“node:1” changed: option VERSION: 20 → 22."


def test_a_first_build_and_a_rebuild_explain_themselves(cast: Cast, make_job: JobMaker):
    first = make_job(cast.crew, JobState.COMPLETED)
    record(first.pk, [layer_event("a")])
    again = make_job(cast.crew, JobState.COMPLETED, rebuild=True)
    record(again.pk, [layer_event("a")])
    said = [explain_miss(job).reasons[0] for job in (first, again)]  # type: ignore[union-attr]
    assert "first build" in said[0]
    assert "A rebuild was asked for" in said[1]


def test_another_crews_layers_explain_nothing(cast: Cast, make_job: JobMaker):
    record(make_job(cast.strange_crew, JobState.COMPLETED).pk, [layer_event("a")])
    job = make_job(cast.crew, JobState.COMPLETED)
    record(job.pk, [layer_event("b")])
    assert "first build" in explain_miss(job).reasons[0]  # type: ignore[union-attr]


# -- colours
@pytest.mark.parametrize(
    ("raw", "html"),
    [
        ("plain & <b>", "plain &amp; &lt;b&gt;"),
        ("\x1b[1;31mbad\x1b[0m ok", '<span class="b f1">bad</span> ok'),
        ("\x1b[97;44mx", '<span class="f15 g4">x</span>'),
        ("\x1b[38;5;196;1mx", '<span class="b">x</span>'),
        ("\x1b[38;2;1;2;3mx", "x"),
        ("10%\r50%\r100%", "100%"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;ZXZpbA==\x07x", "x"),
        ("a\u202eb", "a&lt;U+202E&gt;b"),
        ("a\x00\x07b", "ab"),
    ],
)
def test_lines_are_rendered_safely(raw: str, html: str):
    assert render_line(raw) == html


def test_a_long_line_is_cut_and_says_so():
    html = render_line("x" * 1_000_000)
    assert len(html) < 4100
    assert "line cut" in html


def test_events_are_json_without_html(browse: Browse, running: ProvisionJob):
    answer = browse.vera.get(f"/w/acme/jobs/{running.pk}/events?after=0")
    assert answer["Content-Type"] == "application/json"
    kinds = [event["kind"] for event in json.loads(answer.content)["events"]]
    assert kinds == list(JobEvent.objects.order_by("seq").values_list("kind", flat=True))


def test_portions_of_live_events_say_whether_there_are_more(
    browse: Browse, running: ProvisionJob, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("provisioning.history.PORTION_EVENTS", 2)
    path = f"/w/acme/jobs/{running.pk}/events?after="
    first = json.loads(browse.vera.get(path + "0").content)
    assert [event["seq"] for event in first["events"]] == [1, 2]
    assert first["more"] is True
    rest = json.loads(browse.vera.get(f"{path}{running.events.count() - 1}").content)
    assert rest["more"] is False


@pytest.mark.parametrize("query", ["after=0", "before=99"])
def test_a_portion_of_the_log_is_bounded_by_bytes(
    browse: Browse, running: ProvisionJob, query: str
):
    rows = [(EventKind.OUTPUT, 3, {"lines": ["\u8a9e" * 4000] * 5})] * 30  # 120 kB each as sent
    record(running.pk, rows)
    answer = browse.vera.get(f"/w/acme/jobs/{running.pk}/events?{query}")
    assert 800_000 < len(answer.content) <= 1024 * 1024


def test_missing_output_is_a_line_of_the_log(browse: Browse, running: ProvisionJob):
    record(running.pk, [(EventKind.LOG_GAP, 3, {"lines": 7, "bytes": 900})])
    html = browse.vera.get(PAGE).content.decode()
    assert "Missing here: 7 lines, 900 bytes." in html


def test_a_config_that_changed_after_its_build_says_so(
    cast: Cast, browse: Browse, make_job: JobMaker
):
    assert "Not built" in browse.vera.get(PAGE).content.decode()
    make_job(cast.crew, JobState.COMPLETED)
    cast.crew.config_hash = "f" * 64
    cast.crew.save()
    assert "Config changed, not built yet" in browse.vera.get(PAGE).content.decode()


def test_of_a_log_that_was_removed_the_page_says_when(
    browse: Browse, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.COMPLETED, log_pruned_at=datetime(2026, 5, 1, tzinfo=UTC))
    record(job.pk, [(EventKind.STEP_STARTED, 1, {"message": "x"}), (EventKind.STEP_DONE, 1, {})])
    page = browse.vera.get(f"{PAGE}?job={job.pk}").content.decode()
    assert "The log of this job was removed on 2026-05-01" in page
    assert 'id="log"' not in page
    portion = browse.vera.get(f"/w/acme/jobs/{job.pk}/events?after=0")
    assert portion.status_code == 410
    assert portion.json()["code"] == "log_pruned"
