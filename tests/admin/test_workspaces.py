"""Workspaces: members change by the services' rules, deleting cancels what runs."""

from __future__ import annotations

from typing import Any

import pytest

from crewship.domain.errors import Conflict
from crewship.domain.roles import Role
from crewship.workspaces.models import Membership, Workspace
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from tests.admin.pages import Pages, form_of, formset_of, messages_of, text_of
from tests.cast import Cast, Person, make_crew
from tests.conftest import JobMaker


def filled_page(admin: Pages, workspace: Workspace) -> dict[str, Any]:
    page = admin.page(workspace)
    return form_of(page) | formset_of(page)


def row_of(form: dict[str, Any], person: Person) -> str:
    """The prefix of the person's row among the members."""
    return next(
        name.removesuffix("-id") for name, value in form.items() if value == person.membership.pk
    )


def role_of(person: Person) -> str:
    return Membership.objects.get(pk=person.membership.pk).role


def test_a_role_can_be_changed(admin: Pages, cast: Cast):
    form = filled_page(admin, cast.workspace)
    form[f"{row_of(form, cast.bob)}-role"] = "MANAGER"
    assert admin.post(cast.workspace, **form).status_code == 302
    assert role_of(cast.bob) == Role.MANAGER


def test_a_member_can_be_removed(admin: Pages, cast: Cast):
    form = filled_page(admin, cast.workspace)
    form[f"{row_of(form, cast.bob)}-DELETE"] = "on"
    admin.post(cast.workspace, **form)
    assert not Membership.objects.filter(pk=cast.bob.membership.pk).exists()


def test_a_member_can_be_added(admin: Pages, cast: Cast):
    form = filled_page(admin, cast.workspace)
    rows = int(form["memberships-TOTAL_FORMS"])
    form |= {
        "memberships-TOTAL_FORMS": str(rows + 1),
        f"memberships-{rows}-user": str(cast.mallory.user.pk),
        f"memberships-{rows}-role": "VIEWER",
    }
    admin.post(cast.workspace, **form)
    added = Membership.objects.get(workspace=cast.workspace, user=cast.mallory.user)
    assert added.role == Role.VIEWER


@pytest.mark.parametrize(
    "change", [{"role": "ADMIN"}, {"DELETE": "on"}], ids=["demoted", "removed"]
)
def test_the_last_owner_stays_and_the_form_says_so(
    admin: Pages, cast: Cast, change: dict[str, str]
):
    form = filled_page(admin, cast.workspace)
    row = row_of(form, cast.alice)
    form |= {f"{row}-{name}": value for name, value in change.items()}
    page = admin.post(cast.workspace, **form)
    assert "A workspace keeps at least one owner." in text_of(page)
    assert role_of(cast.alice) == Role.OWNER


def test_an_owner_can_hand_over_in_one_save(admin: Pages, cast: Cast):
    form = filled_page(admin, cast.workspace)
    form[f"{row_of(form, cast.alice)}-role"] = "MEMBER"
    form[f"{row_of(form, cast.vera)}-role"] = "OWNER"
    assert admin.post(cast.workspace, **form).status_code == 302
    assert (role_of(cast.alice), role_of(cast.vera)) == (Role.MEMBER, Role.OWNER)


def test_a_refusal_of_the_service_is_a_message_and_nothing_is_saved(
    admin: Pages, cast: Cast, monkeypatch: pytest.MonkeyPatch
):
    def refuse(**kwargs: Any) -> None:
        raise Conflict("A workspace keeps its last owner.", code="last_owner")

    form = filled_page(admin, cast.workspace) | {"name": "Renamed"}
    form[f"{row_of(form, cast.bob)}-role"] = "MANAGER"
    monkeypatch.setattr("crewship.admin.workspaces.change_role", refuse)
    answer = admin.post(cast.workspace, **form)
    assert answer.status_code == 302
    assert messages_of(answer) == ["error: A workspace keeps its last owner. [last_owner]"]
    assert Workspace.objects.get(pk=cast.workspace.pk).name == "Acme"


def test_a_new_workspace_needs_an_owner(admin: Pages):
    empty = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    page = admin.post(Workspace, "add", slug="new-one", name="New", **empty)
    assert "A workspace keeps at least one owner." in text_of(page)


def test_a_new_workspace_has_the_owner_it_was_given(admin: Pages, cast: Cast):
    owner = {
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "0",
        "memberships-0-user": str(cast.bob.user.pk),
        "memberships-0-role": "OWNER",
    }
    admin.post(Workspace, "add", slug="new-one", name="New", **owner)
    made = Membership.objects.get(workspace__slug="new-one")
    assert (made.user, made.role) == (cast.bob.user, Role.OWNER)


def test_the_cache_key_is_not_on_the_page(admin: Pages, cast: Cast):
    assert cast.workspace.cache_key not in text_of(admin.page(cast.workspace))


def test_limits_can_be_set_and_cleared(admin: Pages, cast: Cast):
    form = filled_page(admin, cast.workspace)
    admin.post(cast.workspace, **form | {"running_limit": "3", "starts_per_minute": "0"})
    workspace = Workspace.objects.get(pk=cast.workspace.pk)
    assert (workspace.running_limit, workspace.starts_per_minute) == (3, 0)
    admin.post(cast.workspace, **form | {"running_limit": "", "starts_per_minute": ""})
    workspace.refresh_from_db()
    assert (workspace.running_limit, workspace.starts_per_minute) == (None, None)


def test_deleting_asks_first_and_counts_what_goes(admin: Pages, cast: Cast, make_job: JobMaker):
    make_job(cast.crew, JobState.RUNNING)
    page = text_of(admin.page(cast.workspace, "delete"))
    assert "Jobs: 1" in page
    assert "Members: 5" in page


@pytest.mark.parametrize("way", ["page", "list"])
def test_deleting_cancels_jobs_so_that_other_workspaces_followers_go_on(
    admin: Pages,
    cast: Cast,
    make_job: JobMaker,
    way: str,
    django_capture_on_commit_callbacks,
    knocks,
):
    leader = make_job(cast.crew, JobState.RUNNING)
    copy = make_crew(cast.strange_workspace, "copy", cast.crew.devcontainer_config)
    follower = make_job(copy, leader=leader)
    with django_capture_on_commit_callbacks(execute=True):
        if way == "page":
            admin.post(cast.workspace, "delete", post="yes")
        else:
            admin.act("delete_selected", cast.workspace, post="yes")
    assert not Workspace.objects.filter(pk=cast.workspace.pk).exists()
    assert ProvisionJob.objects.get(pk=follower.pk).leader is None
    assert knocks == [follower.pk]
