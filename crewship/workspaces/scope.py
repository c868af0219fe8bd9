"""In which workspace a request acts, and what its caller may do there."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
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
                f"Your role {self.role} in {self.workspace.slug} does not allow to {action}."
            )


def resolve_scope(request: Request) -> Scope:
    """The workspace of a request: the query's, else the header's, else the token's, else the only
    one its user is in.

    Raises NotFound for a workspace that the user is not in or the token is not bound to, whether
    or not it exists, and WorkspaceRequired where none or several come into question.
    """
    user, token = request.user, request.auth
    if not isinstance(user, User):
        raise NotAuthenticated
    bound = token if isinstance(token, ApiToken) else None
    memberships = Membership.objects.select_related("workspace").filter(user=user)
    named = request.query_params.get("workspace_id") or request.headers.get("X-Workspace-ID")
    if named:
        named = named.replace("\0", "?")  # PostgreSQL takes no NUL, and no id has one
        memberships = memberships.filter(Q(workspace_id=named) | Q(workspace__slug=named))
    if bound is not None and bound.workspace_id:
        memberships = memberships.filter(workspace_id=bound.workspace_id)
    found = list(memberships[:2])
    if named and not found:
        raise NotFound("There is no such workspace among yours.", code="workspace_not_found")
    if bound is not None and bound.workspace_id and not found:
        raise NotFound("The token's workspace is not yours any more.", code="workspace_not_found")
    if len(found) != 1:
        raise WorkspaceRequired(
            "You are in several workspaces; say which one." if found else "You are in no workspace."
        )
    role = Role(found[0].role)
    if bound is not None and bound.role:
        role = role.weaker(Role(bound.role))
    return Scope(user=user, workspace=found[0].workspace, role=role)
