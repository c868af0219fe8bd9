"""Who may do what: the one table that API, dashboard, admin and tests read."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A user's place in a workspace, strongest first."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    MANAGER = "MANAGER"
    MEMBER = "MEMBER"
    VIEWER = "VIEWER"

    @property
    def rank(self) -> int:
        """0 for OWNER, growing as the role gets weaker."""
        return list(Role).index(self)

    def weaker(self, other: Role) -> Role:
        return self if self.rank >= other.rank else other


class Action(StrEnum):
    READ = "read"
    INSPECT = "inspect"  # agents' logs, which secrets they have, what a plan resolves to
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    MANAGE = "manage"


ALLOWED: dict[Action, frozenset[Role]] = {
    Action.READ: frozenset(Role),
    Action.INSPECT: frozenset({Role.OWNER, Role.ADMIN, Role.MANAGER, Role.MEMBER}),
    Action.CREATE: frozenset({Role.OWNER, Role.ADMIN, Role.MANAGER}),
    Action.UPDATE: frozenset({Role.OWNER, Role.ADMIN, Role.MANAGER}),
    Action.DELETE: frozenset({Role.OWNER, Role.ADMIN}),
    Action.MANAGE: frozenset({Role.OWNER, Role.ADMIN}),
}


def may(role: Role, action: Action) -> bool:
    return role in ALLOWED[action]
