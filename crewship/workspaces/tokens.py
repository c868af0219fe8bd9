"""Making, finding and revoking API tokens."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from crewship.domain.errors import Forbidden
from crewship.domain.roles import Role
from crewship.web.news import announce_standing
from crewship.workspaces.audit import AuditAction, note
from crewship.workspaces.limits import refuse_beyond
from crewship.workspaces.models import ApiToken, User, Workspace

PREFIX = "crs_"
DEFAULT_LIFETIME = timedelta(days=90)
_USE_IS_NOTED_EVERY = timedelta(minutes=1)


def token_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def make_token(
    *,
    user: User,
    name: str,
    workspace: Workspace | None = None,
    role: Role | None = None,
    lifetime: timedelta | None = None,
    made_with: ApiToken | None = None,
    unlimited: bool = False,
) -> tuple[ApiToken, str]:
    """A new token and its secret, which is shown this once. Without a lifetime it is good for
    90 days, or for what is left of ``made_with``.

    Raises Forbidden when a token would make a stronger, wider or longer one than itself, and
    LimitReached unless it is ``unlimited``, as a command of the operator is.
    """
    expires_at = timezone.now() + (lifetime or DEFAULT_LIFETIME)
    if lifetime is None and made_with is not None:
        expires_at = min(expires_at, made_with.expires_at)
    if made_with is not None:
        _refuse_stronger(made_with, workspace, role, expires_at)
    if not unlimited:
        _refuse_more(user)
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name,
        digest=token_digest(secret),
        workspace=workspace,
        role=role or "",
        expires_at=expires_at,
    )
    note(
        AuditAction.TOKEN_MADE,
        token,
        workspace=workspace,
        label=name,
        role=token.role or None,
        expires_at=expires_at.isoformat(),
    )
    return token, secret


def _refuse_more(user: User) -> None:
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two at once count as two
    live = ApiToken.objects.filter(user=user, revoked_at=None, expires_at__gt=timezone.now())
    limit = settings.CREWSHIP.limits.tokens_per_user
    refuse_beyond(limit, live.count(), "tokens", of=user.email)


def _refuse_stronger(
    maker: ApiToken, workspace: Workspace | None, role: Role | None, expires_at: datetime
) -> None:
    if maker.workspace_id and (workspace is None or workspace.pk != maker.workspace_id):
        raise Forbidden("A token bound to a workspace makes tokens for that workspace only.")
    if maker.role and (role is None or role.rank < Role(maker.role).rank):
        raise Forbidden(f"This token has the role {maker.role} and can't make a stronger one.")
    if expires_at > maker.expires_at:
        raise Forbidden("A token can't make one that outlives it.")


def find_token(secret: str) -> ApiToken | None:
    """The live token of an active user, or None. Notes its use, at most once a minute."""
    if not secret.startswith(PREFIX):
        return None
    now = timezone.now()
    token = (
        ApiToken.objects.select_related("user")
        .filter(digest=token_digest(secret), revoked_at=None, expires_at__gt=now)
        .first()
    )
    if token is None or not token.user.is_active:
        return None
    if token.last_used_at is None or token.last_used_at < now - _USE_IS_NOTED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def revoke_token(token: ApiToken) -> None:
    """Every request with it is refused from now on; revoking twice is no error."""
    with transaction.atomic():
        live = ApiToken.objects.filter(pk=token.pk, revoked_at=None)
        if live.update(revoked_at=timezone.now()):
            announce_standing(token.user_id)
            note(AuditAction.TOKEN_REVOKED, token, workspace=token.workspace, label=token.name)
