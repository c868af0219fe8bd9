"""Signing in and out, changing one's password, and where a signed-in user lands."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from crewship.dashboard.scope import LAST_WORKSPACE, signed_in
from crewship.web.attempts import forget_attempts, take_attempt
from crewship.web.news import announce_standing
from crewship.web.sign_in_limits import (
    PAIR_ATTEMPTS,
    WINDOW_S,
    refuse_sign_in,
    sign_in_succeeded,
)
from crewship.workspaces.models import Membership, User


class SignInForm(forms.Form):
    email = forms.EmailField(
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


@sensitive_post_parameters("password")
@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    """A session for whoever knows email and password; both wrong look the same, and guessing is
    slowed (``crewship/web/sign_in_limits.py``)."""
    onward = next_page(request)
    if isinstance(request.user, User):
        return redirect(onward)
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        user, problem, status = _check(request, **form.cleaned_data)
        if user is not None:
            login(request, user)  # with a new session key
            return redirect(onward)
        form.add_error(None, problem)
    return render(request, "dashboard/sign_in.html", {"form": form, "next": onward}, status=status)


def _check(request: HttpRequest, email: str, password: str) -> tuple[User | None, str, int]:
    """The user, or what is wrong and the status that says so."""
    if refusal := refuse_sign_in(request, email):
        return None, refusal, 429
    user = authenticate(request, username=email.lower(), password=password)
    if not isinstance(user, User):
        return None, "Email and password do not match an account.", 200
    sign_in_succeeded(request, email)
    return user, "", 200


def next_page(request: HttpRequest) -> str:
    """``next`` of the request where it is a path of ours, else the start page."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    hosts = {request.get_host()}
    safe = url_has_allowed_host_and_scheme(wanted, hosts, require_https=request.is_secure())
    return wanted if safe else "/"


@require_POST
def sign_out(request: HttpRequest) -> HttpResponseRedirect:
    user = request.user
    logout(request)
    announce_standing(user.pk)  # ends this session's streams
    return redirect("dashboard:sign-in")


@sensitive_post_parameters()
@never_cache
@login_required
def change_password(request: HttpRequest) -> HttpResponse:
    """The user has the new password; his other sessions end, this one goes on."""
    user = signed_in(request)
    form = PasswordChangeForm(user, request.POST or None)
    guesses = f"password of {user.pk}"
    if request.method == "POST" and not take_attempt(
        guesses, limit=PAIR_ATTEMPTS, window_s=WINDOW_S
    ):
        form.add_error(None, "Too many attempts. Wait five minutes, then try again.")
    elif request.method == "POST" and form.is_valid():
        forget_attempts(guesses)
        with transaction.atomic():  # the trail's row, too
            form.save()
        update_session_auth_hash(request, user)
        messages.success(request, "Your password is changed. Other browsers are signed out.")
        return redirect("dashboard:password")
    return render(request, "dashboard/password.html", {"form": form})


@never_cache
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """The workspace that the user looked at last, else the first of his; a page for who has
    none."""
    slugs = list(
        Membership.objects.filter(user=signed_in(request))
        .order_by("created_at", "id")
        .values_list("workspace__slug", flat=True)
    )
    if not slugs:
        return render(request, "dashboard/no_workspace.html")
    last = request.session.get(LAST_WORKSPACE)
    return redirect("dashboard:overview", workspace=last if last in slugs else slugs[0])


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponseRedirect:
    """The browser shows light, dark, or what its system says, for a year."""
    response = redirect(next_page(request))
    theme = request.POST.get("theme", "")
    if theme in {"light", "dark"}:
        response.set_cookie(
            "theme",
            theme,
            max_age=365 * 86400,
            samesite="Lax",
            httponly=True,
            secure=settings.HTTPS_ONLY,
        )
    else:
        response.delete_cookie("theme")
    return response
