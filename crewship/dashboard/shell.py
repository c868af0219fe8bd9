"""What every page of a workspace shares: header, badge, messages, and how an act is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from crewship.domain.errors import ConfigInvalid, CrewshipError, Forbidden, NotFound
from crewship.domain.roles import Action, may
from crewship.workspaces.models import Membership
from crewship.workspaces.scope import Scope
from provisioning.concerns import what_stops_provisioning
from provisioning.health import read_hosts
from provisioning.overview import workspace_badge

TABS = (
    ("overview", "Crews", "ship"),
    ("images", "Images", "layers"),
    ("members", "Members", "users"),
    ("tokens", "Tokens", "key-round"),
    ("audit", "Audit", "scroll-text"),
)


def render_page(
    request: HttpRequest,
    scope: Scope,
    template: str,
    context: Mapping[str, Any],  # Any: Django's own template context
    *,
    tab: str = "",
    status: int = 200,
) -> HttpResponse:
    """The template within the workspace's shell: it has ``scope``, ``workspace``, ``may`` (role
    actions by name), ``tab`` (the current one) beside its own context."""
    return render(request, template, {**shell_context(scope), **context, "tab": tab}, status=status)


def shell_context(scope: Scope) -> dict[str, Any]:  # Any: Django's own template context
    memberships = Membership.objects.filter(user=scope.user).select_related("workspace")
    return {
        "scope": scope,
        "workspace": scope.workspace,
        "workspaces": [m.workspace for m in memberships.order_by("workspace__slug")],
        "badge": workspace_badge(scope.workspace),
        "trouble": what_stops_provisioning(read_hosts()),
        "may": {action.value: may(scope.role, action) for action in Action},
        "tabs": [entry for entry in TABS if entry[0] not in _hidden_tabs(scope)],
    }


def _hidden_tabs(scope: Scope) -> set[str]:
    """Members and audit are for whoever manages."""
    return set() if may(scope.role, Action.MANAGE) else {"members", "audit"}


@contextmanager
def told(request: HttpRequest, done: str = "") -> Iterator[None]:
    """The act's outcome is shown on the next page: ``done``, or the typed error with its hint.

    Forbidden and NotFound pass: they are pages of their own.
    """
    try:
        yield
    except (Forbidden, NotFound):
        raise
    except CrewshipError as err:
        messages.error(request, error_text(err))
    else:
        if done:
            messages.success(request, done)


def error_text(err: CrewshipError) -> str:
    """Message, the single problems if there are any, and what to do; a line each."""
    lines = [err.message, err.error_hint]
    if isinstance(err, ConfigInvalid):
        lines[1:1] = [f"· {problem}" for problem in err.problems[3:]]
    return "\n".join(line for line in lines if line)
