"""Accepting an invitation: with a new account, or with the one that is signed in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from crewship.domain.errors import Conflict
from crewship.web.attempts import take_attempt
from crewship.web.sign_in_limits import address_of
from crewship.workspaces.invitations import (
    InvitationNotFound,
    accept,
    accept_as_new,
    find_invitation,
)
from crewship.workspaces.limits import LimitReached
from crewship.workspaces.models import Invitation, User

OPENED_PER_MINUTE = 60


class NewAccountForm(forms.Form):
    name = forms.CharField(
        max_length=100, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        strip=False,
        max_length=4096,
        help_text="At least 8 characters, not only digits, and no common word.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, email: str, *args: Any, **kwargs: Any) -> None:  # Any: Django's own
        super().__init__(*args, **kwargs)
        self._email = email

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, User(email=self._email))
        return password


@sensitive_post_parameters("password")
@never_cache
def accept_page(request: HttpRequest, secret: str) -> HttpResponse:
    """Shows what the invitation gives; a POST takes it."""
    opened = f"invitation {address_of(request)}"
    if not take_attempt(opened, limit=OPENED_PER_MINUTE, window_s=60):
        return render(request, "dashboard/invitation_slow.html", status=429)
    try:
        return _accept_page(request, secret, find_invitation(secret))
    except InvitationNotFound:
        return render(request, "dashboard/invitation_gone.html", status=404)


def _accept_page(request: HttpRequest, secret: str, invitation: Invitation) -> HttpResponse:
    user = request.user if isinstance(request.user, User) else None
    form = None
    if user is None and not User.objects.filter(email__iexact=invitation.email).exists():
        form = NewAccountForm(invitation.email, request.POST or None)
    if request.method == "POST":
        try:
            joined = _join(request, secret, user, form)
        except (Conflict, LimitReached) as err:
            messages.error(request, f"{err.message}\n{err.error_hint}")
            joined = False
        if joined:
            messages.success(request, f"Welcome to {invitation.workspace.name}.")
            return redirect("dashboard:overview", workspace=invitation.workspace.slug)
    context = {
        "invitation": invitation,
        "form": form,
        "other_account": user is not None and user.email.lower() != invitation.email,
    }
    return render(request, "dashboard/invitation.html", context)


def _join(
    request: HttpRequest, secret: str, user: User | None, form: NewAccountForm | None
) -> bool:
    """Whether the person is in; False where the form has errors or nobody is signed in."""
    if user is not None:
        accept(secret, user)
        return True
    if form is None or not form.is_valid():
        return False
    try:
        membership = accept_as_new(secret, **form.cleaned_data)
    except ValidationError as err:
        form.add_error(None, err)
        return False
    login(request, membership.user, backend="django.contrib.auth.backends.ModelBackend")
    return True
