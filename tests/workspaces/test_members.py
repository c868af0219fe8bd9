"""Role changes: nobody acts above his own role, and the last owner stays."""

from __future__ import annotations

import pytest

from crewship.domain.errors import Conflict, Forbidden
from crewship.domain.roles import ALLOWED, Action, Role, may
from crewship.workspaces.models import Membership
from crewship.workspaces.services import change_role, remove_member
from tests.cast import Cast, make_person

ABOVE = [(actor, role) for actor in Role for role in Role if role.rank < actor.rank]
NOT_ABOVE = [(actor, role) for actor in Role for role in Role if role.rank >= actor.rank]


@pytest.mark.parametrize(("actor", "role"), ABOVE)
def test_nobody_grants_a_role_above_his_own(actor: Role, role: Role, cast: Cast) -> None:
    with pytest.raises(Forbidden):
        change_role(membership=cast.vera.membership, role=role, actor_role=actor)
    assert Membership.objects.get(pk=cast.vera.membership.pk).role == Role.VIEWER


@pytest.mark.parametrize(("actor", "role"), ABOVE)
def test_nobody_changes_or_removes_a_role_above_his_own(
    actor: Role, role: Role, cast: Cast
) -> None:
    member = make_person("temp", cast.workspace, role).membership
    with pytest.raises(Forbidden):
        change_role(membership=member, role=Role.VIEWER, actor_role=actor)
    with pytest.raises(Forbidden):
        remove_member(membership=member, actor_role=actor)
    assert Membership.objects.get(pk=member.pk).role == role


@pytest.mark.parametrize(("actor", "role"), NOT_ABOVE)
def test_a_role_up_to_ones_own_can_be_granted(actor: Role, role: Role, cast: Cast) -> None:
    change_role(membership=cast.vera.membership, role=role, actor_role=actor)
    assert Membership.objects.get(pk=cast.vera.membership.pk).role == role


def test_the_last_owner_stays(cast: Cast) -> None:
    owner = cast.alice.membership
    with pytest.raises(Conflict) as caught:
        change_role(membership=owner, role=Role.ADMIN, actor_role=Role.OWNER)
    assert caught.value.error_code == "last_owner"
    with pytest.raises(Conflict):
        remove_member(membership=owner, actor_role=Role.OWNER)
    assert Membership.objects.get(pk=owner.pk).role == Role.OWNER


def test_an_owner_may_go_when_another_stays(cast: Cast) -> None:
    change_role(membership=cast.adam.membership, role=Role.OWNER, actor_role=Role.OWNER)
    remove_member(membership=cast.alice.membership, actor_role=Role.OWNER)
    assert not Membership.objects.filter(user=cast.alice.user).exists()


def test_an_owner_of_another_workspace_does_not_count(cast: Cast) -> None:
    with pytest.raises(Conflict):
        remove_member(membership=cast.mallory.membership, actor_role=Role.OWNER)


def test_the_role_table_is_the_contracts() -> None:
    managers = {Role.OWNER, Role.ADMIN, Role.MANAGER}
    admins = {Role.OWNER, Role.ADMIN}
    assert {
        Action.READ: set(Role),
        Action.INSPECT: set(Role) - {Role.VIEWER},
        Action.CREATE: managers,
        Action.UPDATE: managers,
        Action.DELETE: admins,
        Action.MANAGE: admins,
    } == ALLOWED
    assert may(Role.MANAGER, Action.CREATE)
    assert not may(Role.MEMBER, Action.CREATE)
