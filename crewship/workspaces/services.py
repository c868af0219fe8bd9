"""What can be done to workspaces and their members."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from crewship.domain.errors import ConfigError, Conflict, Forbidden
from crewship.domain.roles import Role
from crewship.workspaces.audit import AuditAction, note
from crewship.workspaces.limits import lock_workspace, refuse_beyond
from crewship.workspaces.models import Membership, User, Workspace, validate_slug
from crewship.workspaces.tokens import make_token


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    workspace_id: str
    email: str
    password: str | None  # None: the user existed, the password was not touched
    token: str


@transaction.atomic
def bootstrap(*, slug: str, email: str) -> Bootstrapped:
    """The workspace and its owner exist; a new user is a superuser only when it is the first.

    Raises ConfigError for a bad slug or email, and for a user who is in the workspace with a
    lower role (no command line raises a role silently).
    """
    email = email.strip().lower()
    try:
        validate_slug(slug)
        validate_email(email)
    except ValidationError as err:
        raise ConfigError("; ".join(err.messages)) from err
    workspace, is_new = Workspace.objects.get_or_create(slug=slug, defaults={"name": slug})
    if is_new:
        note(AuditAction.WORKSPACE_CREATED, workspace, workspace=workspace)
    user = User.objects.filter(email__iexact=email).first()
    password = None
    if user is None:
        password = secrets.token_urlsafe(12)
        first = not User.objects.exists()
        user = User.objects.create_user(email, password, is_staff=first, is_superuser=first)
    membership, joined = Membership.objects.get_or_create(
        workspace=workspace, user=user, defaults={"role": Role.OWNER}
    )
    if joined:
        note_member(AuditAction.MEMBER_ADDED, membership, role=Role.OWNER)
    if membership.role != Role.OWNER:
        raise ConfigError(f"{email} is in {slug} as {membership.role}; have an owner raise it.")
    _, secret = make_token(user=user, name="bootstrap", workspace=workspace, unlimited=True)
    return Bootstrapped(workspace.pk, user.email, password, secret)


class UserUnknown(ConfigError):
    code = "user_unknown"
    hint = "Have an operator make the account (admin, or manage.py bootstrap), then add it here."


@transaction.atomic
def add_member(*, workspace: Workspace, email: str, role: Role, actor_role: Role) -> Membership:
    """The user of that email is in the workspace with the role; the account is not touched.

    Raises Forbidden for a role above the actor's, UserUnknown where no active account has the
    email (none is made: whoever signs up later would inherit it), Conflict for a member,
    LimitReached.
    """
    if role.rank < actor_role.rank:
        raise Forbidden("Nobody grants a role above his own.")
    user = User.objects.filter(email__iexact=email.strip(), is_active=True).first()
    if user is None:
        raise UserUnknown(f"There is no user {email.strip()} on this installation.")
    lock_workspace(workspace)
    refuse_more_members(workspace, user)
    membership, made = Membership.objects.get_or_create(
        workspace=workspace, user=user, defaults={"role": role}
    )
    if not made:
        raise Conflict(
            f"{user.email} is in {workspace.slug} as {membership.role}.",
            code="already_member",
            hint=f"Change the role with PATCH /members/{membership.pk}.",
        )
    note_member(AuditAction.MEMBER_ADDED, membership, role=role)
    return membership


def refuse_more_members(workspace: Workspace, user: User | None) -> None:
    """The user is a member already or may become one; LimitReached otherwise. Under the lock on
    the workspace."""
    members = Membership.objects.filter(workspace=workspace)
    if user is None or not members.filter(user=user).exists():
        limit = settings.CREWSHIP.limits.members_per_workspace
        refuse_beyond(limit, members.count(), "members", of=workspace.slug)


@transaction.atomic
def change_role(*, membership: Membership, role: Role, actor_role: Role) -> None:
    """The member has the role. Nobody grants or changes a role above his own, only an OWNER
    makes an OWNER, and the last OWNER stays (Conflict ``last_owner``)."""
    current = Role(membership.role)
    if role.rank < actor_role.rank or current.rank < actor_role.rank:
        raise Forbidden("Nobody grants or changes a role above his own.")
    if current == Role.OWNER and role != Role.OWNER:
        _keep_an_owner(membership)
    membership.role = role
    membership.save(update_fields=["role"])
    if role != current:
        note_member(AuditAction.ROLE_CHANGED, membership, **{"from": current, "to": role})


@transaction.atomic
def remove_member(*, membership: Membership, actor_role: Role) -> None:
    """The user is not in the workspace any more; the same rules as for ``change_role``."""
    if Role(membership.role).rank < actor_role.rank:
        raise Forbidden("Nobody removes a member whose role is above his own.")
    if membership.role == Role.OWNER:
        _keep_an_owner(membership)
    note_member(AuditAction.MEMBER_REMOVED, membership, role=membership.role)
    membership.delete()


def note_member(
    action: AuditAction,
    membership: Membership,
    **roles: Any,  # Any: JSON
) -> None:
    """The trail knows a member by the email."""
    label = membership.user.email
    note(action, membership, workspace=membership.workspace, label=label, **roles)


def _keep_an_owner(membership: Membership) -> None:
    lock_workspace(membership.workspace)  # two owners can't both be the one who may go
    owners = Membership.objects.filter(workspace_id=membership.workspace_id, role=Role.OWNER)
    if not owners.exclude(pk=membership.pk).exists():
        raise Conflict("A workspace keeps its last owner.", code="last_owner")
