"""The user's own API tokens, as far as they reach the workspace."""

from __future__ import annotations

from datetime import timedelta

from django import forms
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from crewship.dashboard.members import grantable
from crewship.dashboard.scope import in_workspace
from crewship.dashboard.shell import render_page, told
from crewship.domain.roles import Role
from crewship.workspaces.models import ApiToken
from crewship.workspaces.scope import Scope
from crewship.workspaces.tokens import make_token, revoke_token

MAX_DAYS = 365


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=100, widget=forms.TextInput(attrs={"placeholder": "laptop, CI, …"})
    )
    role = forms.ChoiceField(required=False, label="At most")
    days = forms.IntegerField(min_value=1, max_value=MAX_DAYS, initial=90, label="Days")
    everywhere = forms.BooleanField(required=False, label="Good in all my workspaces")

    def __init__(self, scope: Scope, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]  # request.POST or None
        self.fields["role"].choices = [("", "My role"), *grantable(scope)]  # type: ignore[attr-defined]  # a ChoiceField


@in_workspace()
def tokens(request: HttpRequest, scope: Scope) -> HttpResponse:
    """The tokens; a POST makes one, whose secret this answer shows once."""
    form = TokenForm(scope, request.POST or None)
    secret = ""
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        with told(request):
            _, secret = make_token(
                user=scope.user,
                name=asked["name"],
                workspace=None if asked["everywhere"] else scope.workspace,
                role=Role(asked["role"]) if asked["role"] else None,
                lifetime=timedelta(days=asked["days"]),
            )
            form = TokenForm(scope)
    context = {
        "tokens": _own(scope).order_by("-id"),
        "form": form,
        "secret": secret,
        "server": request.build_absolute_uri("/").rstrip("/"),
        "now": timezone.now(),
    }
    return render_page(request, scope, "dashboard/tokens.html", context, tab="tokens")


@require_POST
@in_workspace()
def revoke(request: HttpRequest, scope: Scope, token: str) -> HttpResponse:
    found = _own(scope).filter(pk=token.replace("\0", "?")).first()
    if found is None:
        raise Http404
    with told(request, f"The token “{found.name}” is revoked."):
        revoke_token(found)
    return redirect("dashboard:tokens", workspace=scope.workspace.slug)


def _own(scope: Scope) -> QuerySet[ApiToken]:
    here = Q(workspace=None) | Q(workspace=scope.workspace)
    return ApiToken.objects.filter(here, user=scope.user, revoked_at=None)
