"""The audit trail: who did what to what, written in the transaction that did it.

A row outlives what it tells of, so it keeps names beside keys. It holds no secret and no text of a
config: names of fields, hashes, roles.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from crewship.web.requests import current_request_id
from crewship.workspaces.actor import who_acts
from crewship.workspaces.models import AuditEvent, Membership, User, Workspace


class AuditAction(models.TextChoices):
    """Stable for ever: clients filter by them."""

    CREW_CREATED = "crew.created"
    CREW_CHANGED = "crew.changed"
    CREW_CONFIG_CHANGED = "crew.config_changed"
    CREW_DELETED = "crew.deleted"
    PROVISION_STARTED = "provision.started"
    REBUILD_STARTED = "rebuild.started"
    REFRESH_STARTED = "refresh.started"
    PROVISION_CANCELLED = "provision.cancelled"
    IMAGE_DELETED = "image.deleted"
    AGENT_CREATED = "agent.created"
    AGENT_CHANGED = "agent.changed"
    AGENT_DELETED = "agent.deleted"
    AGENT_STARTED = "agent.started"
    AGENT_STOPPED = "agent.stopped"
    AGENTS_RESTARTED = "agents.restarted"
    MEMBER_ADDED = "member.added"
    MEMBER_REMOVED = "member.removed"
    ROLE_CHANGED = "role.changed"
    INVITATION_MADE = "invitation.made"
    INVITATION_REVOKED = "invitation.revoked"
    TOKEN_MADE = "token.made"  # noqa: S105  # no password
    TOKEN_REVOKED = "token.revoked"  # noqa: S105  # no password
    WORKSPACE_CREATED = "workspace.created"
    WORKSPACE_DELETED = "workspace.deleted"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105  # no password
    SIGNED_IN = "session.signed_in"
    SIGNED_OUT = "session.signed_out"
    SIGN_IN_FAILED = "session.sign_in_failed"


_OF_ACCOUNTS: Final = (
    AuditAction.PASSWORD_CHANGED,
    AuditAction.SIGNED_IN,
    AuditAction.SIGNED_OUT,
    AuditAction.SIGN_IN_FAILED,
)
_TYPES: Final = {
    "apitoken": "token",
    "cachedimage": "image",
    "membership": "member",
    "provisionjob": "job",
}
_LABEL = 200


def note(
    action: AuditAction,
    target: models.Model | None,
    *,
    workspace: Workspace | None,
    label: str = "",
    actor: User | None = None,
    **data: Any,  # Any: JSON
) -> AuditEvent:
    """The trail has the act, if the transaction around it commits. ``label`` is what people call
    the target, else its ``str``; ``actor`` is for who is not signed in yet."""
    acting = who_acts()
    user = actor or acting.user
    kind = target._meta.model_name or "" if target is not None else ""
    return AuditEvent.objects.create(
        workspace=workspace,
        workspace_label=workspace.slug if workspace else "",
        actor=user,
        actor_label=user.email if user else "",
        token_name=acting.token.name if acting.token else "",
        via=acting.via,
        action=action,
        target_type=_TYPES.get(kind, kind),
        target_id=str(target.pk or "") if target is not None else "",
        target_label=(label or str(target or ""))[:_LABEL],
        data=data,
        request_id=current_request_id(),
    )


def trail_of(workspace: Workspace) -> QuerySet[AuditEvent]:
    """What was done in the workspace, and what its members did with their accounts since they are
    in it: sign-ins, also failed ones at their emails, and changed passwords."""
    since = Membership.objects.filter(workspace=workspace, created_at__lte=OuterRef("at"))
    theirs = Exists(since.filter(user=OuterRef("actor"))) | Exists(
        since.filter(user__email__iexact=OuterRef("target_label"))
    )
    return AuditEvent.objects.filter(
        Q(workspace=workspace) | Q(theirs, workspace=None, action__in=_OF_ACCOUNTS)
    )


@receiver(user_logged_in)
def _signed_in(sender: Any, user: User, **kwargs: Any) -> None:  # Any: the signal's
    note(AuditAction.SIGNED_IN, user, workspace=None)


@receiver(user_logged_out)
def _signed_out(sender: Any, user: User | None, **kwargs: Any) -> None:  # Any: the signal's
    if user is not None:
        note(AuditAction.SIGNED_OUT, user, workspace=None)


@receiver(user_login_failed)
def _sign_in_failed(  # the arguments are the signal's
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """The email that was tried, as far as it may be one; never the password."""
    tried = str(credentials.get("username") or credentials.get("email") or "")
    note(AuditAction.SIGN_IN_FAILED, None, workspace=None, label=tried.replace("\0", "?"))


@receiver(post_save, sender=User)
def _password_changed(sender: Any, instance: User, created: bool, **kwargs: Any) -> None:
    """In the dashboard, the admin and by ``manage.py changepassword`` alike. Django keeps the raw
    password in ``_password`` until it is saved, and none where it just renews the hash."""
    if not created and instance._password is not None:  # type: ignore[attr-defined]
        note(AuditAction.PASSWORD_CHANGED, instance, workspace=None)
