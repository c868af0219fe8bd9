"""In which workspace a request acts, and what its caller may do there."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from crewship.domain.errors import ConfigError, Forbidden, NotFound
from crewship.domain.roles import Action, Role, may
from crewship.workspaces.models import ApiToken, Membership, User, Workspace


class WorkspaceRequired(ConfigError):
    code = "workspace_required"
    hint = "Name it: ?workspace_id=… or the header X-Workspace-ID (id or slug)."


@dataclass(frozen=True, slots=True)
class Scope:
    """One caller in one workspace; ``role`` is never above what the token allows."""

    user: User
    workspace: Workspace
    role: Role

    def require(self, action: Action) -> None:
        """Raises Forbidden when the role lacks the action."""
        if not may(self.role, action):
            raise Forbidden(
                f"Your role {self.role} in {self.workspace.slug} does not allow that ({action})."
            )


def memberships_of(request: Request) -> QuerySet[Membership]:
    """The caller's memberships, with their workspaces; a bound token reaches its workspace only."""
    user, token = request.user, request.auth
    if not isinstance(user, User):
        raise NotAuthenticated
    memberships = Membership.objects.select_related("workspace").filter(user=user)
    if isinstance(token, ApiToken) and token.workspace_id:
        memberships = memberships.filter(workspace_id=token.workspace_id)
    return memberships


def role_in(membership: Membership, auth: object) -> Role:
    """What the caller may do there: the member's role, or the token's if that is weaker."""
    role = Role(membership.role)
    if isinstance(auth, ApiToken) and auth.role:
        role = role.weaker(Role(auth.role))
    return role


def resolve_scope(request: Request) -> Scope:
    """The workspace of a request: the query's, else the header's, else the token's, else the only
    one its user is in.

    Raises NotFound for a workspace that the user is not in or the token is not bound to, whether
    or not it exists, and WorkspaceRequired where none or several come into question.
    """
    token = request.auth
    bound = isinstance(token, ApiToken) and bool(token.workspace_id)
    memberships = memberships_of(request)
    named = request.query_params.get("workspace_id") or request.headers.get("X-Workspace-ID")
    if named:
        named = named.replace("\0", "?")  # PostgreSQL takes no NUL, and no id has one
        memberships = memberships.filter(Q(workspace_id=named) | Q(workspace__slug=named))
    found = list(memberships.select_related("workspace", "user")[:2])
    if named and not found:
        raise NotFound("There is no such workspace among yours.", code="workspace_not_found")
    if bound and not found:
        raise NotFound("The token's workspace is not yours any more.", code="workspace_not_found")
    if len(found) != 1:
        raise WorkspaceRequired(
            "You are in several workspaces; say which one." if found else "You are in no workspace."
        )
    membership = found[0]
    return Scope(membership.user, membership.workspace, role_in(membership, token))
