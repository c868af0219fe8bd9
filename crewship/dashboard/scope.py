"""From a browser's session and the workspace in the URL to a Scope: the API's table of roles."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache

from crewship.crews.models import Crew
from crewship.domain.errors import ConfigError, CrewshipError, Forbidden, NotFound
from crewship.domain.roles import Action, Role
from crewship.web.problems import status_of
from crewship.workspaces.models import Membership, User
from crewship.workspaces.scope import Scope

LAST_WORKSPACE = "last_workspace"  # in the session: where "/" leads

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Scope, P], HttpResponse]


def signed_in(request: HttpRequest) -> User:
    """The user of a view that only signed-in people reach."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def in_workspace(action: Action = Action.READ) -> Callable[[View[P]], Callable[..., HttpResponse]]:
    """The view gets the caller's Scope in the workspace whose slug is in the URL.

    Whoever is not signed in goes to the sign-in page and comes back. A workspace that the user is
    not in is a 404, whether or not it exists; a role that lacks the action is a 403. A
    typed error that the view lets pass is a page, never a crash. Pages are never stored by the
    browser: what they show is somebody's.
    """

    def decorate(view: View[P]) -> Callable[..., HttpResponse]:
        @never_cache
        @login_required
        @wraps(view)
        def scoped(
            request: HttpRequest, workspace: str, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponse:
            scope = find_scope(signed_in(request), workspace)
            try:
                scope.require(action)
                if request.session.get(LAST_WORKSPACE) != workspace:
                    request.session[LAST_WORKSPACE] = workspace
                return view(request, scope, *args, **kwargs)
            except Forbidden as err:
                raise PermissionDenied(err.message) from err
            except (NotFound, ConfigError) as err:  # the latter: no id, edit or text of a form
                raise Http404(err.message) from err
            except CrewshipError as err:
                return _refused(request, err)

        return scoped

    return decorate


def _refused(request: HttpRequest, err: CrewshipError) -> HttpResponse:
    """What is wrong and what to do, with the status that the API gives it."""
    return render(request, "dashboard/refused.html", {"error": err}, status=status_of(err))


def find_scope(user: User, slug: str) -> Scope:
    """Raises Http404 for a workspace that the user is not in."""
    membership = (
        Membership.objects.select_related("workspace", "user")
        .filter(user=user, workspace__slug=slug.replace("\0", "?"))
        .first()
    )
    if membership is None:
        raise Http404("There is no such workspace among yours.")
    return Scope(membership.user, membership.workspace, Role(membership.role))


def crew_of(scope: Scope, slug: str) -> Crew:
    """Raises Http404 for a crew that is not in the workspace."""
    crews = Crew.objects.select_related("workspace").filter(workspace=scope.workspace)
    return get_object_or_404(crews, slug=slug.replace("\0", "?"))
