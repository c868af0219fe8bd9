"""What a page that outlived its session gets for its next request: a way back to itself."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.csrf import csrf_failure as csrf_page

from crewship.workspaces.models import User


class SignedOutMiddleware:
    """Who is sent to sign in comes back to the page that he was on, and signs in on a whole page.

    The target of a POST is no page to come back to, and htmx would follow the redirect and put the
    sign-in form into the page that asked: it is told to leave the page instead (``HX-Redirect``).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not _asks_to_sign_in(response):
            return response
        if _is_htmx(request):
            return _leave_for(sign_in_url(page_of(request)))
        if request.method == "POST":
            response["Location"] = sign_in_url(page_of(request))
        return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW: a page; htmx has its page loaded again, with a good token."""
    if not _is_htmx(request):
        return csrf_page(request, reason)
    here = page_of(request)
    if not isinstance(request.user, User):
        return _leave_for(sign_in_url(here))
    messages.warning(request, "The page was out of date, so nothing was done. Try it again.")
    return _leave_for(here)


def page_of(request: HttpRequest) -> str:
    """Path and query of the page that a request was made from; ``/`` where it is none of ours."""
    said = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    try:
        parts = urlsplit(said)
    except ValueError:
        return "/"
    here = urlunsplit(("", "", parts.path, parts.query, ""))
    ours = parts.netloc == request.get_host()
    return here if ours and url_has_allowed_host_and_scheme(here, None) else "/"


def sign_in_url(onward: str) -> str:
    return f"{resolve_url('dashboard:sign-in')}?{urlencode({'next': onward}, safe='/')}"


def _asks_to_sign_in(response: HttpResponse) -> bool:
    """Whether it is login_required's answer; signing out leads there too, but to nothing next."""
    if response.status_code != 302:
        return False
    to = urlsplit(response["Location"])
    return to.path == resolve_url("dashboard:sign-in") and "next" in parse_qs(to.query)


def _is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def _leave_for(url: str) -> HttpResponse:
    return HttpResponse(status=204, headers={"HX-Redirect": url})
