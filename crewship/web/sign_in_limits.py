"""How often a password may be guessed: one set of limits and counts for every way to sign in.

Three counts, so that guessing is slow and yet nobody keeps somebody else out by knowing the email:
- an address: ``CREWSHIP_ANONYMOUS_REQUESTS_PER_MINUTE``, over all emails;
- an email from one address: PAIR_ATTEMPTS, what a person who mistypes meets;
- an email from everywhere: EMAIL_ATTEMPTS, against guessing from many addresses at once. Attempts
  that the other two refused do not count here, so one address uses up a tenth of it at most and
  locks nobody out.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest

from crewship.web.attempts import forget_attempts, take_attempt

PAIR_ATTEMPTS = 10  # within WINDOW_S; a success starts the count again
EMAIL_ATTEMPTS = 100  # within WINDOW_S
WINDOW_S = 300


def refuse_sign_in(request: HttpRequest, email: str) -> str:
    """Counts one attempt; what to tell the person when it is one too many (a 429), else empty."""
    address = address_of(request)
    per_minute = settings.CREWSHIP.limits.anonymous_requests_per_minute
    if not take_attempt(f"sign-in from {address}", limit=per_minute, window_s=60):
        return "Too many attempts from your address. Wait a minute, then try again."
    if not take_attempt(_pair(address, email), limit=PAIR_ATTEMPTS, window_s=WINDOW_S) or (
        not take_attempt(f"sign-in {_same(email)}", limit=EMAIL_ATTEMPTS, window_s=WINDOW_S)
    ):
        return "Too many attempts for this email. Wait five minutes, then try again."
    return ""


def sign_in_succeeded(request: HttpRequest, email: str) -> None:
    """The person's next attempt from here is the first. The email's count from everywhere goes
    on: it may be somebody else's guesses."""
    forget_attempts(_pair(address_of(request), email))


def address_of(request: HttpRequest) -> str:
    """Who is counted as one: an IPv4 address, or an IPv6 /64, which is what one customer gets."""
    sent = request.META.get("REMOTE_ADDR", "")
    try:
        address = ip_address(sent)
    except ValueError:  # empty for a Unix socket
        return str(sent)
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def _pair(address: str, email: str) -> str:
    return f"sign-in {_same(email)} from {address}"


def _same(email: str) -> str:
    return email.strip().lower()
