"""Who may enter the admin: superusers, who see every tenant there, and nobody else.

Members have the API, the dashboard and the CLI, where everything is scoped to a workspace. The
admin has no such scope, so half a permission (staff, groups) would be a leak between tenants.
It stands outside ``crewship/admin/``, since that package registers with the site when imported.
"""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from crewship.workspaces.models import User


def is_operator(user: User | AnonymousUser) -> bool:
    return bool(user.is_active and user.is_superuser)


class OperatorLoginForm(AdminAuthenticationForm):
    """Says at once, instead of showing the form again, that an account is not an operator's."""

    def confirm_login_allowed(self, user: User) -> None:
        super().confirm_login_allowed(user)
        if not is_operator(user):
            raise ValidationError("Only superusers may open the admin.", code="not_an_operator")


class CrewshipAdminSite(AdminSite):
    site_header = "Crewship Provisioning"
    site_title = "Crewship"
    index_title = "Operations, across all workspaces"
    login_form = OperatorLoginForm

    def has_permission(self, request: HttpRequest) -> bool:
        return is_operator(request.user)
