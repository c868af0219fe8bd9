"""Provision, rebuild and cancel: the services' work, their errors as messages."""

from __future__ import annotations

from typing import Any

import pytest

from cache.models import CachedImage, DockerHost
from crewship.crews.models import Crew
from crewship.workspaces.models import User
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from tests.admin.pages import Pages, messages_of, text_of, url_of
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker


@pytest.mark.parametrize(("action", "rebuild"), [("provision", False), ("rebuild", True)])
def test_an_action_starts_a_job_for_its_actor(
    admin: Pages, cast: Cast, host: DockerHost, olga: User, action: str, rebuild: bool
):
    answer = admin.act(action, cast.crew)
    job = ProvisionJob.objects.get()
    assert (job.crew, job.requested_by, job.rebuild) == (cast.crew, olga, rebuild)
    (said,) = messages_of(answer)
    assert said.startswith("success: “backend”: ")
    assert job.pk in said


def test_a_hit_says_that_the_image_was_there(admin: Pages, cast: Cast, cached: CachedImage):
    (said,) = messages_of(admin.act("provision", cast.crew))
    assert "the image was there" in said


def test_an_active_job_is_an_error_with_code_and_hint(admin: Pages, cast: Cast, make_job: JobMaker):
    make_job(cast.crew)
    assert messages_of(admin.act("provision", cast.crew)) == [
        "error: “backend”: A provisioning job is already in progress for this crew. [job_active] "
        "Wait for the running job, or cancel it."
    ]


def test_a_crew_with_nothing_to_provision_does_not_stop_the_next(
    admin: Pages, cast: Cast, host: DockerHost
):
    empty = make_crew(cast.workspace, "empty", None)
    said = messages_of(admin.act("provision", cast.crew, empty))
    assert ["no_devcontainer_config" in text for text in said].count(True) == 1
    assert ProvisionJob.objects.get().crew == cast.crew


def test_a_lost_host_is_said_once_for_all(admin: Pages, cast: Cast):
    (said,) = messages_of(admin.act("provision", cast.crew, cast.strange_crew))
    assert "[no_docker_host]" in said


def test_cancel_ends_the_active_job(admin: Pages, cast: Cast, make_job: JobMaker):
    job = make_job(cast.crew, JobState.RUNNING)
    assert messages_of(admin.act("cancel", cast.crew)) == [
        f"success: “backend”: cancelled {job.pk}."
    ]
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED


def test_cancel_without_a_job_says_so(admin: Pages, cast: Cast):
    assert messages_of(admin.act("cancel", cast.crew)) == ["success: “backend”: no job was active."]


def test_a_verb_of_the_page_comes_back_to_the_page(admin: Pages, cast: Cast, host: DockerHost):
    assert 'value="provision"' in text_of(admin.page(cast.crew))
    answer = admin.act("provision", cast.crew, _page="1")
    assert answer["Location"] == url_of(cast.crew)


def test_the_page_offers_what_can_be_done_now(admin: Pages, cast: Cast, make_job: JobMaker):
    offered = [name for name, _ in admin.page(cast.crew).context["page_verbs"]]
    assert offered == ["provision", "rebuild", "refresh", "restart"]
    make_job(cast.crew)
    assert [name for name, _ in admin.page(cast.crew).context["page_verbs"]] == [
        "cancel",
        "restart",
    ]


def test_the_page_leads_to_the_crews_jobs(admin: Pages, cast: Cast, make_job: JobMaker):
    mine = make_job(cast.crew)
    make_job(cast.strange_crew)
    page = admin.page(cast.crew)
    ((label, url), _agents) = page.context["page_links"]
    rows: Any = admin.client.get(url).context["cl"].result_list
    assert (label, [row.pk for row in rows]) == ("Jobs", [mine.pk])


def test_what_was_done_is_in_the_crews_history(admin: Pages, cast: Cast, host: DockerHost):
    admin.act("provision", cast.crew)
    job = ProvisionJob.objects.get()
    history = admin.client.get(url_of(Crew.objects.get(pk=cast.crew.pk), "history"))
    assert f"provisioning started as {job.pk}" in text_of(history)


def test_a_verb_for_a_crew_that_is_gone_changes_nothing(admin: Pages, cast: Cast):
    pk = cast.crew.pk
    cast.crew.delete()
    gone = Crew(pk=pk)
    answer = admin.act("provision", gone, _page="1")
    assert (answer.status_code, ProvisionJob.objects.count()) == (302, 0)
