"""The audit trail: every act leaves a row that says who, through what, what and to what."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client as Browser

from cache.models import CachedImage
from crewship.crews.models import Crew
from crewship.domain.errors import Conflict
from crewship.domain.roles import Role
from crewship.workspaces.audit import AuditAction
from crewship.workspaces.models import AuditEvent
from crewship.workspaces.services import change_role
from provisioning.deletion import delete_workspace
from provisioning.services import cancel_provision, request_provision
from provisioning.states import JobState
from provisioning.transitions import advance
from tests.cast import Cast
from tests.conftest import Api, JobMaker
from tests.rows import all_rows


def actions() -> list[str]:
    """Of what was done since the cast was made, oldest first."""
    return list(trail().values_list("action", flat=True))


def trail() -> Any:
    return AuditEvent.objects.exclude(via="system").order_by("id")


def test_a_row_says_who_with_what_and_to_what(api: Api, cast: Cast) -> None:
    answer = api.mona.post("/crews", {"name": "New", "slug": "new"})
    event = AuditEvent.objects.get(action=AuditAction.CREW_CREATED, target_label="new")
    assert (event.workspace, event.workspace_label) == (cast.workspace, "acme")
    assert (event.actor, event.actor_label) == (cast.mona.user, "mona@example.com")
    assert (event.token_name, event.via) == ("mona's", "api")
    assert (event.target_type, event.target_id) == ("crew", answer.json()["id"])
    assert event.request_id == answer["X-Request-ID"]


def test_a_changed_config_is_told_by_fields_and_hashes(api: Api, cast: Cast) -> None:
    text = '{"containerEnv": {"SECRET": "s3cr3t-in-a-config"}}'
    api.mona.patch(f"/crews/{cast.crew.pk}", {"devcontainer_config": text})
    event = trail().get()
    new_hash = Crew.objects.get(pk=cast.crew.pk).config_hash
    assert event.action == "crew.config_changed"
    assert event.data == {
        "fields": ["devcontainer_config"],
        "config_hash": {"from": cast.crew.config_hash, "to": new_hash},
    }


def test_a_save_that_changes_nothing_leaves_no_row(api: Api, cast: Cast) -> None:
    api.mona.patch(f"/crews/{cast.crew.pk}", {"name": cast.crew.name})
    assert actions() == []
    api.mona.patch(f"/crews/{cast.crew.pk}", {"name": "Other"})
    assert actions() == ["crew.changed"]


@pytest.mark.usefixtures("host")
def test_provisioning_and_what_ends_it(api: Api, cast: Cast) -> None:
    base = f"/crews/{cast.crew.pk}"
    for verb in ("provision", "provision/cancel", "rebuild", "provision/cancel"):
        assert api.mona.post(f"{base}/{verb}").status_code in {200, 202}
    assert actions() == [
        "provision.started",
        "provision.cancelled",
        "rebuild.started",
        "provision.cancelled",
    ]
    assert trail().first().data["job_id"].startswith("job_")


def test_members_roles_and_tokens(api: Api, cast: Cast) -> None:
    api.alice.patch(f"/members/{cast.bob.membership.pk}", {"role": "MANAGER"})
    api.alice.delete(f"/members/{cast.bob.membership.pk}")
    api.alice.post("/members", {"email": "bob@example.com", "role": "VIEWER"})
    made = api.alice.post("/tokens", {"name": "laptop", "role": "VIEWER"}).json()
    api.alice.delete(f"/tokens/{made['id']}")
    events = list(trail())
    assert [event.action for event in events] == [
        "role.changed",
        "member.removed",
        "member.added",
        "token.made",
        "token.revoked",
    ]
    assert events[0].data == {"from": "MEMBER", "to": "MANAGER"}
    assert {event.target_label for event in events[:3]} == {"bob@example.com"}
    assert {event.target_label for event in events[3:]} == {"laptop"}
    assert made["token"] not in json.dumps(all_rows(), default=str)


def test_agents(api: Api, cast: Cast, cached: CachedImage) -> None:
    agents = f"/crews/{cast.crew.pk}/agents"
    body = {
        "name": "one",
        "command": "sleep inf",
        "env": {"KEY": {"secret": "hush-hush"}},
    }
    made = api.alice.post(agents, body)
    assert made.status_code == 201, made.content
    one = f"{agents}/{made.json()['id']}"
    api.alice.patch(one, {"command": "sleep 1"})
    api.alice.post(f"{one}/start")
    api.alice.post(f"{one}/stop")
    api.alice.delete(one)
    assert actions() == [
        "agent.created",
        "agent.changed",
        "agent.started",
        "agent.stopped",
        "agent.deleted",
    ]
    assert "hush-hush" not in json.dumps(list(trail().values()), default=str)


def test_what_was_refused_or_undone_leaves_no_row(api: Api, cast: Cast) -> None:
    api.bob.post("/crews", {"name": "New", "slug": "new"})
    api.mona.post("/crews", {"name": "New", "slug": "NOT A SLUG"})
    api.mona.post(f"/crews/{cast.crew.pk}/provision")  # no host
    with pytest.raises(Conflict):
        change_role(membership=cast.alice.membership, role=Role.ADMIN, actor_role=Role.OWNER)
    assert actions() == []


def test_rows_outlive_what_they_tell_of(cast: Cast, api: Api) -> None:
    api.mona.patch(f"/crews/{cast.crew.pk}", {"name": "Other"})
    delete_workspace(cast.workspace)
    cast.mona.user.delete()
    event = trail().get()
    assert (event.workspace, event.workspace_label) == (None, "acme")
    assert (event.actor, event.actor_label) == (None, "mona@example.com")
    assert AuditEvent.objects.filter(action="workspace.deleted", target_label="acme").exists()


def test_the_admin_and_its_operator(admin_client: Browser, cast: Cast) -> None:
    url = f"/admin/crews/crew/{cast.crew.pk}/delete/"
    admin_client.post(url, {"post": "yes"})
    event = trail().get(action="crew.deleted")
    assert event.via == "admin"
    assert event.actor is not None
    assert (event.actor.is_superuser, event.token_name) == (True, "")


def test_the_dashboards_sign_in_and_a_failed_one(client: Browser, cast: Cast) -> None:
    client.post("/sign-in", {"email": "bob@example.com", "password": "wrong-wrong"})
    client.post("/sign-in", {"email": "bob@example.com", "password": "bob-has-a-password"})
    client.post("/sign-out")
    failed, signed_in, signed_out = trail()
    assert (failed.action, failed.target_label) == (
        "session.sign_in_failed",
        "bob@example.com",
    )
    assert (failed.actor, failed.via) == (None, "dashboard")
    assert "wrong-wrong" not in json.dumps(list(trail().values()), default=str)
    assert (signed_in.action, signed_in.target_label) == ("session.signed_in", "bob@example.com")
    assert signed_out.action == "session.signed_out"


@pytest.mark.django_db
def test_bootstrap_is_a_command_of_nobodys() -> None:
    call_command("bootstrap", workspace="fresh", email="olga@example.com")
    events = list(trail())
    assert [event.action for event in events] == [
        "workspace.created",
        "member.added",
        "token.made",
    ]
    assert {(event.via, event.actor_label) for event in events} == {("cli-manage", "")}


def test_what_workers_do_is_the_systems(cast: Cast, host: Any) -> None:
    job = request_provision(crew=cast.crew, actor=None)
    event = AuditEvent.objects.get(action="provision.started")
    assert (event.via, event.actor, event.request_id) == ("system", None, "-")
    cancel_provision(cast.crew)
    assert AuditEvent.objects.filter(data__job_id=job.pk).count() == 2


def test_a_jobs_own_steps_are_its_events_and_no_audit(cast: Cast, make_job: JobMaker) -> None:
    before = AuditEvent.objects.count()
    advance(make_job(cast.crew), JobState.RUNNING)
    assert AuditEvent.objects.count() == before


@pytest.fixture
def listed(api: Api, cast: Cast) -> Callable[..., list[dict[str, Any]]]:
    """What Adam reads after Mona renamed the crew and made another."""
    api.mona.patch(f"/crews/{cast.crew.pk}", {"name": "Other"})
    api.mona.post("/crews", {"name": "New", "slug": "new"})

    def read(**filters: str) -> list[dict[str, Any]]:
        answer = api.adam.get("/audit", filters)
        assert answer.status_code == 200, answer.content
        rows: list[dict[str, Any]] = answer.json()["results"]
        return [row for row in rows if row["via"] == "api"]

    return read


def test_the_list_is_newest_first_and_of_the_workspace(listed: Any, api: Api, cast: Cast) -> None:
    newest, older = listed()
    assert (newest["action"], older["action"]) == ("crew.created", "crew.changed")
    assert older == {
        "id": older["id"],
        "at": older["at"],
        "actor": "mona@example.com",
        "token": "mona's",
        "via": "api",
        "action": "crew.changed",
        "target": {"type": "crew", "id": cast.crew.pk, "label": "backend"},
        "data": {"fields": ["name"]},
        "request_id": older["request_id"],
    }
    strange = api.mallory.get("/audit").json()["results"]
    assert {row["target"]["label"] for row in strange} == {"strange"}


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"action": "crew.changed"}, 1),
        ({"action": "crew"}, 2),
        ({"action": "cre"}, 0),
        ({"target": "crew"}, 2),
        ({"target": "crw_unknown"}, 0),
        ({"actor": "MONA@example.com"}, 2),
        ({"actor": "bob@example.com"}, 0),
        ({"actor": "a\0b"}, 0),
    ],
)
def test_the_list_can_be_filtered(listed: Any, filters: dict[str, str], count: int) -> None:
    assert len(listed(**filters)) == count


def test_the_admin_has_the_list_and_changes_nothing(admin_client: Browser, cast: Cast) -> None:
    event = AuditEvent.objects.first()
    assert event is not None
    page = admin_client.get("/admin/workspaces/auditevent/?action=crew.created&via=system")
    assert "crew.created" in page.content.decode()
    detail = f"/admin/workspaces/auditevent/{event.pk}/"
    assert admin_client.get(f"{detail}change/").status_code == 200
    assert admin_client.post(f"{detail}delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get("/admin/workspaces/auditevent/add/").status_code == 403
