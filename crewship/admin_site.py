"""Who may enter the admin: superusers, who see every tenant there, and nobody else.

Members have the API, the dashboard and the CLI, where everything is scoped to a workspace. The
admin has no such scope, so half a permission (staff, groups) would be a leak between tenants.
It stands outside ``crewship/admin/``, since that package registers with the site when imported.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path

from crewship.web.sign_in_limits import refuse_sign_in, sign_in_succeeded
from crewship.workspaces.models import User


def is_operator(user: User | AnonymousUser) -> bool:
    return bool(user.is_active and user.is_superuser)


TOO_MANY = "too_many_attempts"


class OperatorLoginForm(AdminAuthenticationForm):
    """Says at once, instead of showing the form again, that an account is not an operator's.
    Guesses count together with those at the dashboard's sign-in."""

    request: HttpRequest

    def clean(self) -> dict[str, Any]:  # Any: form values
        email = self.cleaned_data.get("username") or ""
        if refusal := refuse_sign_in(self.request, email):
            raise ValidationError(refusal, code=TOO_MANY)
        cleaned = super().clean()
        if self.get_user() is not None:  # without a password nobody was asked
            sign_in_succeeded(self.request, email)
        return cleaned

    def confirm_login_allowed(self, user: User) -> None:
        super().confirm_login_allowed(user)
        if not is_operator(user):
            raise ValidationError("Only superusers may open the admin.", code="not_an_operator")


class CrewshipAdminSite(AdminSite):
    site_header = "Crewship Provisioning"
    site_title = "Crewship"
    index_title = "Operations, across all workspaces"
    login_form = OperatorLoginForm
    index_template = "admin/crewship/index.html"

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from crewship.admin.health import health_page  # its package registers with this site

        return [path("health/", self.admin_view(health_page), name="health"), *super().get_urls()]

    def index(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: a template's values
    ) -> TemplateResponse:
        from crewship.admin.health import index_context

        return super().index(request, {**index_context(), **(extra_context or {})})

    def login(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: a template's values
    ) -> HttpResponse:
        response = super().login(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if form is not None and form.is_bound and form.has_error(NON_FIELD_ERRORS, TOO_MANY):
            response.status_code = 429
        return response

    def has_permission(self, request: HttpRequest) -> bool:
        return is_operator(request.user)
