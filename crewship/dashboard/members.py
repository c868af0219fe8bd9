"""Who is in the workspace and as what; inviting, changing roles, removing."""

from __future__ import annotations

from django import forms
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from crewship.dashboard.scope import in_workspace
from crewship.dashboard.shell import render_page, told
from crewship.domain.roles import Action, Role
from crewship.workspaces.invitations import invite, open_invitations, revoke_invitation
from crewship.workspaces.models import Membership
from crewship.workspaces.scope import Scope
from crewship.workspaces.services import change_role, remove_member

PER_PAGE = 100


class InviteForm(forms.Form):
    email = forms.EmailField(
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "name@example.com"})
    )
    role = forms.ChoiceField(choices=[(role.value, role.value.title()) for role in Role])

    def __init__(self, scope: Scope, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]  # request.POST or None
        self.fields["role"].choices = grantable(scope)  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["role"].initial = Role.MEMBER.value


def grantable(scope: Scope) -> list[tuple[str, str]]:
    """The roles that the caller may give: none above his own."""
    return [(role.value, role.value.title()) for role in Role if role.rank >= scope.role.rank]


@in_workspace(Action.MANAGE)
def members(request: HttpRequest, scope: Scope) -> HttpResponse:
    """The members; a POST makes an invitation, whose link this answer shows once."""
    form = InviteForm(scope, request.POST or None)
    link = ""
    if request.method == "POST" and form.is_valid():
        with told(request):
            invitation, secret = invite(
                workspace=scope.workspace,
                email=form.cleaned_data["email"],
                role=Role(form.cleaned_data["role"]),
                actor=scope.user,
                actor_role=scope.role,
            )
            link = request.build_absolute_uri(reverse("dashboard:invite", args=[secret]))
            form = InviteForm(scope)
    found = Membership.objects.filter(workspace=scope.workspace).select_related("user")
    page = Paginator(found.order_by("user__email"), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "form": form,
        "link": link,
        "invited": invitation.email if link else "",
        "roles": grantable(scope),
        "invitations": open_invitations(scope.workspace)
        .filter(expires_at__gt=timezone.now())
        .select_related("invited_by")
        .order_by("-id"),
        "own_rank": scope.role.rank,
    }
    return render_page(request, scope, "dashboard/members.html", context, tab="members")


@require_POST
@in_workspace(Action.MANAGE)
def change(request: HttpRequest, scope: Scope, member: str) -> HttpResponse:
    membership = _membership(scope, member)
    role = request.POST.get("role", "")
    if role not in Role.__members__:
        raise Http404
    with told(request, f"{membership.user.email} is {role.title()} now."):
        change_role(membership=membership, role=Role(role), actor_role=scope.role)
    return redirect("dashboard:members", workspace=scope.workspace.slug)


@require_POST
@in_workspace(Action.MANAGE)
def remove(request: HttpRequest, scope: Scope, member: str) -> HttpResponse:
    membership = _membership(scope, member)
    with told(request, f"{membership.user.email} is not in the workspace any more."):
        remove_member(membership=membership, actor_role=scope.role)
    if membership.user_id == scope.user.pk:
        return redirect("dashboard:start")
    return redirect("dashboard:members", workspace=scope.workspace.slug)


@require_POST
@in_workspace(Action.MANAGE)
def revoke(request: HttpRequest, scope: Scope, invitation: str) -> HttpResponse:
    found = open_invitations(scope.workspace).filter(pk=invitation.replace("\0", "?")).first()
    if found is None:
        raise Http404
    with told(request, f"The invitation of {found.email} is revoked."):
        revoke_invitation(found)
    return redirect("dashboard:members", workspace=scope.workspace.slug)


def _membership(scope: Scope, member: str) -> Membership:
    found = Membership.objects.filter(workspace=scope.workspace).select_related("user")
    membership = found.filter(pk=member.replace("\0", "?")).first()
    if membership is None:
        raise Http404
    return membership
