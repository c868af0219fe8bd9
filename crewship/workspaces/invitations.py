"""Inviting people by a link: made by whoever manages, good once, for a week, for one email."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from crewship.domain.errors import ConfigInvalid, Conflict, Forbidden, NotFound, Problem
from crewship.domain.roles import Action, Role, may
from crewship.workspaces.audit import AuditAction, note
from crewship.workspaces.limits import lock_workspace, refuse_beyond
from crewship.workspaces.models import Invitation, Membership, User, Workspace
from crewship.workspaces.services import note_member, refuse_more_members
from crewship.workspaces.tokens import token_digest

LIFETIME: Final = timedelta(days=7)


class InvitationNotFound(NotFound):
    """The same for every reason, so that nobody learns which links once were good."""

    code = "invitation_not_found"
    hint = "Ask for a new invitation."


class AccountExists(Conflict):
    code = "invitation_account_exists"
    hint = "Sign in with that account, then open the link again."


class InvitationOfAnother(Conflict):
    code = "invitation_of_another"
    hint = "Sign out and open the link again, or ask for an invitation of your own email."


@transaction.atomic
def invite(
    *, workspace: Workspace, email: str, role: Role, actor: User, actor_role: Role
) -> tuple[Invitation, str]:
    """An open invitation and the secret of its link, which is shown this once. One that was open
    for the email before is revoked.

    Raises Forbidden for a role above the actor's, ConfigInvalid for what is no email, Conflict for
    a member, LimitReached where members and open invitations are as many as members may be.
    """
    if role.rank < actor_role.rank:
        raise Forbidden("Nobody grants a role above his own.")
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as err:
        raise ConfigInvalid([Problem("email", "invalid", " ".join(err.messages))]) from err
    if Membership.objects.filter(workspace=workspace, user__email__iexact=email).exists():
        raise Conflict(f"{email} is in {workspace.slug} already.", code="already_member")
    lock_workspace(workspace)  # one open invitation per email
    now = timezone.now()
    _refuse_more(workspace, email)
    open_invitations(workspace).filter(email=email).update(revoked_at=now)
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        workspace=workspace,
        email=email,
        role=role,
        digest=token_digest(secret),
        invited_by=actor,
        expires_at=now + LIFETIME,
    )
    note(AuditAction.INVITATION_MADE, invitation, workspace=workspace, label=email, role=role)
    return invitation, secret


def _refuse_more(workspace: Workspace, email: str) -> None:
    limit = settings.CREWSHIP.limits.members_per_workspace
    members = Membership.objects.filter(workspace=workspace).count()
    others = open_invitations(workspace).filter(expires_at__gt=timezone.now())
    count = members + others.exclude(email=email).count()
    refuse_beyond(limit, count, "members", of=f"{workspace.slug} with its open invitations")


def open_invitations(workspace: Workspace) -> QuerySet[Invitation]:
    """Neither accepted nor revoked; they may have expired."""
    return Invitation.objects.filter(workspace=workspace, accepted_at=None, revoked_at=None)


def find_invitation(secret: str) -> Invitation:
    """The invitation of a link, if it can be accepted now. Raises InvitationNotFound."""
    invitation = (
        Invitation.objects.select_related("workspace", "invited_by")
        .filter(
            digest=token_digest(secret),
            accepted_at=None,
            revoked_at=None,
            expires_at__gt=timezone.now(),
        )
        .first()
    )
    if invitation is None or not _inviter_still_may(invitation):
        raise InvitationNotFound("This invitation is not valid any more.")
    return invitation


def _inviter_still_may(invitation: Invitation) -> bool:
    """Whoever lost his role since grants nothing by links that he made before."""
    inviter = Membership.objects.filter(
        workspace_id=invitation.workspace_id,
        user_id=invitation.invited_by_id,
        user__is_active=True,
    ).first()
    if inviter is None:
        return False
    role = Role(inviter.role)
    return may(role, Action.MANAGE) and role.rank <= Role(invitation.role).rank


@transaction.atomic
def accept(secret: str, user: User) -> Membership:
    """The signed-in user is a member. Raises InvitationNotFound, InvitationOfAnother,
    LimitReached."""
    invitation = _take(secret)
    if user.email.lower() != invitation.email:
        raise InvitationOfAnother(f"This invitation is for {invitation.email}.")
    refuse_more_members(invitation.workspace, user)
    membership, joined = Membership.objects.get_or_create(
        workspace=invitation.workspace, user=user, defaults={"role": invitation.role}
    )
    if joined:
        note_member(AuditAction.MEMBER_ADDED, membership, role=membership.role, by="invitation")
    return membership


@transaction.atomic
def accept_as_new(secret: str, *, name: str, password: str) -> Membership:
    """There is an account for the invited email, with that password, and it is a member.

    The password was checked by the caller. Raises InvitationNotFound, AccountExists, LimitReached.
    """
    invitation = _take(secret)
    if User.objects.filter(email__iexact=invitation.email).exists():
        raise AccountExists(f"{invitation.email} has an account here.")
    refuse_more_members(invitation.workspace, None)
    user = User.objects.create_user(invitation.email, password, name=name.strip())
    membership = Membership.objects.create(
        workspace=invitation.workspace, user=user, role=invitation.role
    )
    note(
        AuditAction.MEMBER_ADDED,
        membership,
        workspace=invitation.workspace,
        label=user.email,
        actor=user,
        role=membership.role,
        by="invitation",
    )
    return membership


def _take(secret: str) -> Invitation:
    """The invitation is accepted by nobody else; within the caller's transaction, which undoes it
    when it fails."""
    invitation = find_invitation(secret)
    lock_workspace(invitation.workspace)
    taken = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if not taken.update(accepted_at=timezone.now()):
        raise InvitationNotFound("This invitation is not valid any more.")
    return invitation


@transaction.atomic
def revoke_invitation(invitation: Invitation) -> None:
    """Its link is good for nothing from now on. Idempotent."""
    still_open = open_invitations(invitation.workspace).filter(pk=invitation.pk)
    if still_open.update(revoked_at=timezone.now()):
        note(
            AuditAction.INVITATION_REVOKED,
            invitation,
            workspace=invitation.workspace,
            label=invitation.email,
        )
