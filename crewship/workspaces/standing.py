"""Whether a caller still may what he might when his request began: for answers that go on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework.request import Request

from crewship.domain.roles import Action, Role, may
from crewship.workspaces.models import ApiToken, Membership, User
from crewship.workspaces.scope import Scope, role_in


@dataclass(frozen=True, slots=True)
class Standing:
    """Who asked, with what, for what; the same for every stream of one caller."""

    user_id: int
    workspace_id: str
    action: Action
    token_id: str = ""
    session_key: str = ""

    def __call__(self) -> bool:
        """False when the user is inactive or out of the workspace, the role too weak, the token
        revoked or expired, or the session ended."""
        membership = (
            Membership.objects.select_related("user")
            .filter(user_id=self.user_id, workspace_id=self.workspace_id, user__is_active=True)
            .first()
        )
        if membership is None:
            return False
        if not self.token_id:
            return self._session_holds(membership.user) and may(Role(membership.role), self.action)
        token = ApiToken.objects.filter(
            pk=self.token_id, revoked_at=None, expires_at__gt=timezone.now()
        ).first()
        return token is not None and may(role_in(membership, token), self.action)

    def _session_holds(self, user: User) -> bool:
        """Signed in still, with the password of then."""
        store = import_module(settings.SESSION_ENGINE).SessionStore(self.session_key)
        stored = store.get(HASH_SESSION_KEY, "")
        return constant_time_compare(stored, user.get_session_auth_hash())


def standing_of(request: Request, scope: Scope, action: Action) -> Standing:
    token = request.auth if isinstance(request.auth, ApiToken) else None
    session = getattr(request, "session", None)
    return Standing(
        user_id=scope.user.pk,
        workspace_id=scope.workspace.pk,
        action=action,
        token_id=token.pk if token else "",
        session_key="" if token or session is None else session.session_key or "",
    )
