"""``crewship login``, ``logout`` and ``me``: who one is to which server."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from crewship.cli.account import Account, config_file, write_account
from crewship.cli.client import Client, Refused
from crewship.cli.options import JsonOption
from crewship.cli.session import connect, with_hint
from crewship.cli.terminal import clean, note, print_json, print_table, say
from crewship.domain.errors import ConfigError

USUAL_URL: Final = "http://127.0.0.1:8000"
HOW_TO_GET_ONE: Final = "It begins with crs_; `manage.py bootstrap` prints one."
LOCAL: Final = ("localhost", "127.", "[::1]")


def login(
    url: Annotated[str, typer.Option(help="The server's address; asked for when absent.")] = "",
    token: Annotated[
        str, typer.Option(help="An API token (crs_…); asked for, unseen, when absent.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Remember a server and your token.

    Both are stored once the server has accepted the token. A token comes from `manage.py
    bootstrap`, or from POST /api/v1/tokens. It is kept in ~/.config/crewship/config.toml, which
    only you can read. Without a terminal the token is read from standard input.
    """
    url = _address(url or _ask("Server", USUAL_URL))
    token = (token or _ask_token()).strip()
    if not token.isascii() or not token.isprintable() or not token:
        raise ConfigError("This is no API token.", code="token_malformed", hint=HOW_TO_GET_ONE)
    account = Account(url, token)
    with Client(account) as api:
        me = _accepted(api)
    path = write_account(account, os.environ)
    for name in ("CREWSHIP_URL", "CREWSHIP_TOKEN"):
        if os.environ.get(name):
            note(f"{name} is set and wins over what was stored now.")
    if as_json:
        print_json({"url": account.url, "email": me["email"], "workspaces": me["workspaces"]})
        return
    say(("✓ logged in", "green"), f" to {clean(account.url)} as {clean(me['email'])}")
    say(f"  workspaces: {_names(me)}")
    say(f"  kept in {path}")


def logout(
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Also make the token useless for everybody.")
    ] = False,
) -> None:
    """Forget the server and the token."""
    if revoke:
        with connect("") as api:
            _revoke(api)
    path = config_file(os.environ)
    was_there = path.exists()
    path.unlink(missing_ok=True)
    say(("✓ logged out", "green") if was_there else "You were not logged in.")
    if was_there and not revoke:
        note("The token still works; `crewship logout --revoke` would have ended it.")


def me(as_json: JsonOption = False) -> None:
    """Show who you are to the server, and your workspaces."""
    with connect("") as api:
        found = api.call("GET", "/me")
        if as_json:
            print_json(found)
            return
        say(("Server  ", "bold"), clean(api.url))
    say(("User    ", "bold"), clean(found["email"]))
    if found["token"]:
        token = found["token"]
        until = f", until {token['expires_at'][:10]}" if token.get("expires_at") else ""
        say(("Token   ", "bold"), clean(f"{token['name'] or token['id']}{until}"))
    if not found["workspaces"]:
        say("You are in no workspace: ask an owner to add you.")
        return
    say("")
    rows = [(w["slug"], w["name"], w["role"]) for w in found["workspaces"]]
    print_table(("Workspace", "Name", "Your role"), rows)


def _accepted(api: Client) -> Mapping[str, Any]:  # Any: JSON
    """Who the token's user is. Raises Refused with what to do about it."""
    try:
        found: Mapping[str, Any] = api.call("GET", "/me")
    except Refused as error:
        if error.status != 401:
            raise
        raise with_hint(error, "The token is of another server, was revoked or expired.") from error
    return found


def _revoke(api: Client) -> None:
    found = api.call("GET", "/me")
    if found["token"] and found["workspaces"]:
        workspace = found["token"]["workspace_id"] or found["workspaces"][0]["id"]
        api.call("DELETE", f"/tokens/{found['token']['id']}?workspace_id={workspace}")


def _address(given: str) -> str:
    """With a scheme, and without the path of the API that people copy along."""
    url = given.strip().rstrip("/").removesuffix("/api/v1")
    if "://" not in url:
        url = f"{'http' if url.startswith(LOCAL) else 'https'}://{url}"
    if not url.startswith(("http://", "https://")):
        raise ConfigError(
            f"{given!r} is no address of a server.",
            code="url_malformed",
            hint="Write it as https://crews.example or http://127.0.0.1:8000.",
        )
    return url


def _ask(what: str, usual: str) -> str:
    if not sys.stdin.isatty():
        return usual
    return str(typer.prompt(what, default=usual, err=True))


def _ask_token() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    return str(typer.prompt("Token", hide_input=True, err=True))


def _names(me: Mapping[str, Any]) -> str:  # Any: JSON
    names = ", ".join(f"{w['slug']} ({w['role']})" for w in me["workspaces"])
    return clean(names) or "none"
