"""In which workspace a request acts: query, header, token, the only one; else it is refused."""

from __future__ import annotations

import pytest

from crewship.domain.roles import Role
from crewship.workspaces.models import Membership, Workspace
from crewship.workspaces.tokens import make_token
from tests.cast import Cast, make_crew
from tests.conftest import Api, Client
from tests.problem import problem


@pytest.fixture
def second(cast: Cast) -> Workspace:
    """Mona manages Acme and views this one, which has one crew."""
    workspace = Workspace.objects.create(slug="second", name="Second")
    Membership.objects.create(workspace=workspace, user=cast.mona.user, role=Role.VIEWER)
    make_crew(workspace, "other")
    return workspace


def slugs(client: Client, query: str = "", **headers: str) -> list[str]:
    answer = client.get(f"/crews{query}", headers=headers)
    assert answer.status_code == 200, answer.content
    return [crew["slug"] for crew in answer.json()["results"]]


def bound(cast: Cast, workspace: Workspace, role: Role | None = None) -> Client:
    _, secret = make_token(user=cast.mona.user, name="bound", workspace=workspace, role=role)
    return Client(secret)


def test_the_only_workspace_need_not_be_named(api: Api) -> None:
    assert slugs(api.mona) == ["backend"]


def test_several_need_a_name(api: Api, second: Workspace) -> None:
    problem(api.mona.get("/crews"), 400, "workspace_required")


def test_none_needs_a_name(api: Api, cast: Cast) -> None:
    cast.bob.membership.delete()
    problem(api.bob.get("/crews"), 400, "workspace_required")


@pytest.mark.parametrize("by", ["pk", "slug"])
def test_the_query_names_it_by_id_or_slug(by: str, api: Api, second: Workspace) -> None:
    assert slugs(api.mona, f"?workspace_id={getattr(second, by)}") == ["other"]


@pytest.mark.parametrize("by", ["pk", "slug"])
def test_the_header_names_it_by_id_or_slug(by: str, api: Api, second: Workspace) -> None:
    assert slugs(api.mona, **{"X-Workspace-ID": getattr(second, by)}) == ["other"]


def test_the_query_wins_over_the_header(api: Api, second: Workspace) -> None:
    assert slugs(api.mona, "?workspace_id=acme", **{"X-Workspace-ID": second.pk}) == ["backend"]


def test_a_bound_token_names_it(cast: Cast, second: Workspace) -> None:
    assert slugs(bound(cast, second)) == ["other"]


def test_a_bound_token_opens_no_other_workspace(cast: Cast, second: Workspace) -> None:
    client = bound(cast, second)
    problem(client.get("/crews?workspace_id=acme"), 404, "workspace_not_found")
    problem(client.get("/crews", headers={"X-Workspace-ID": "acme"}), 404, "workspace_not_found")


def test_a_bound_token_whose_user_left_is_404(cast: Cast, second: Workspace) -> None:
    client = bound(cast, second)
    Membership.objects.filter(workspace=second).delete()
    problem(client.get("/crews"), 404, "workspace_not_found")


@pytest.mark.parametrize("name", ["evil", "no-such-one", "wsp_x", "%00", "' OR 1=1"])
def test_a_foreign_workspace_is_that_of_none(name: str, api: Api) -> None:
    problem(api.alice.get("/crews", {"workspace_id": name}), 404, "workspace_not_found")


def test_a_workspace_whose_slug_is_anothers_id_opens_nothing(api: Api, cast: Cast) -> None:
    problem(api.mallory.get("/crews", {"workspace_id": cast.workspace.pk}), 404)


def test_the_role_is_the_one_in_the_named_workspace(api: Api, second: Workspace) -> None:
    answer = api.mona.post(f"/crews?workspace_id={second.slug}", {"name": "N", "slug": "nn"})
    problem(answer, 403, "forbidden")


def test_a_crew_of_another_of_ones_workspaces_is_404(
    api: Api, cast: Cast, second: Workspace
) -> None:
    problem(api.mona.get(f"/crews/{cast.crew.pk}?workspace_id=second"), 404, "crew_not_found")


def test_a_token_role_lowers_its_users(cast: Cast) -> None:
    client = bound(cast, cast.workspace, Role.VIEWER)
    assert slugs(client) == ["backend"]
    problem(client.post("/crews", {"name": "N", "slug": "nn"}), 403, "forbidden")


def test_a_token_role_never_raises_its_users(cast: Cast) -> None:
    client = bound(cast, cast.workspace, Role.OWNER)
    problem(client.delete(f"/crews/{cast.crew.pk}"), 403, "forbidden")


def test_a_token_is_as_weak_as_its_user_is_now(api: Api, cast: Cast) -> None:
    Membership.objects.filter(user=cast.alice.user).update(role=Role.VIEWER)
    problem(api.alice.patch(f"/crews/{cast.crew.pk}", {"name": "N"}), 403, "forbidden")
