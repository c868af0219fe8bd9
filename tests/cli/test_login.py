"""``crewship login``, ``logout``, ``me``: a token is stored when the server has accepted it."""

from __future__ import annotations

import stat
from pathlib import Path

from crewship.domain.roles import Role
from crewship.workspaces.models import Membership
from tests.cast import Cast
from tests.cli.conftest import URL, Crewship


def file_of(crewship: Crewship) -> Path:
    return crewship.home / ".config/crewship/config.toml"


def test_a_good_token_is_stored_for_its_owner_only(crewship: Crewship, cast: Cast) -> None:
    result = crewship.anonymous("login", "--url", URL, "--token", cast.vera.secret)
    assert result.exit_code == 0
    assert "✓ logged in to http://testserver as vera@example.com" in result.stdout
    assert "acme (VIEWER)" in result.stdout
    assert stat.S_IMODE(file_of(crewship).stat().st_mode) == 0o600
    assert crewship.anonymous("crew", "list").exit_code == 0


def test_a_token_is_never_printed(crewship: Crewship, cast: Cast) -> None:
    result = crewship.anonymous("login", "--url", URL, "--token", cast.vera.secret)
    assert cast.vera.secret not in result.output
    assert cast.vera.secret not in crewship.anonymous("me").output


def test_a_refused_token_is_not_stored(crewship: Crewship) -> None:
    result = crewship.anonymous("login", "--url", URL, "--token", "crs_wrong")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 2
    assert "of another server, was revoked or expired" in result.stderr
    assert not file_of(crewship).exists()


def test_a_token_comes_from_a_pipe(crewship: Crewship, cast: Cast) -> None:
    result = crewship.anonymous("login", "--url", URL, stdin=f"{cast.bob.secret}\n")
    assert result.exit_code == 0
    assert cast.bob.secret in file_of(crewship).read_text()


def test_the_path_of_the_api_is_left_out_of_an_address(crewship: Crewship, cast: Cast) -> None:
    crewship.anonymous("login", "--url", f"{URL}/api/v1/", "--token", cast.bob.secret)
    assert f'url = "{URL}"' in file_of(crewship).read_text()


def test_nonsense_is_no_token(crewship: Crewship) -> None:
    result = crewship.anonymous("login", "--url", URL, "--token", "crs_\x1bü")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "This is no API token." in result.stderr


def test_before_login_every_command_says_what_to_do(crewship: Crewship) -> None:
    result = crewship.anonymous("crew", "list")
    assert result.exit_code == 2
    assert "Run `crewship login`" in result.stderr


def test_me_lists_the_workspaces(crewship: Crewship) -> None:
    shown = crewship("me", by="mona").stdout
    assert "mona@example.com" in shown
    assert "MANAGER" in shown
    assert crewship.json("me", by="mona")["workspaces"][0]["slug"] == "acme"


def test_logout_forgets_the_token_and_says_that_it_still_works(
    crewship: Crewship, cast: Cast
) -> None:
    crewship.anonymous("login", "--url", URL, "--token", cast.bob.secret)
    result = crewship.anonymous("logout")
    assert "✓ logged out" in result.stdout
    assert "still works" in result.stderr
    assert crewship.anonymous("me").exit_code == 2


def test_logout_can_revoke_the_token(crewship: Crewship, cast: Cast) -> None:
    crewship.anonymous("login", "--url", URL, "--token", cast.bob.secret)
    assert crewship.anonymous("logout", "--revoke").exit_code == 0
    refused = crewship("me", by="bob")
    assert refused.exit_code == 2
    assert "Run `crewship login`." in refused.stderr


def test_several_workspaces_are_listed_when_one_must_be_named(
    crewship: Crewship, cast: Cast
) -> None:
    Membership.objects.create(
        workspace=cast.strange_workspace, user=cast.alice.user, role=Role.VIEWER
    )
    refused = crewship("crew", "list")
    assert refused.exit_code == 2
    assert "acme (OWNER), evil (VIEWER)" in refused.stderr
    assert "strange" in crewship("crew", "list", "--workspace", "evil").stdout
    assert "strange" in crewship("-w", "evil", "crew", "list").stdout
    assert "backend" in crewship("crew", "list", CREWSHIP_WORKSPACE="acme").stdout


def test_the_workspace_of_one_command_is_not_that_of_the_next(crewship: Crewship) -> None:
    assert crewship("-w", "evil", "crew", "list").exit_code == 2
    assert crewship("crew", "list").exit_code == 0


def test_an_error_with_json_is_json(crewship: Crewship) -> None:
    refused = crewship("-w", "evil", "crew", "list", "--json")
    assert (refused.exit_code, refused.stderr) == (2, "")
    assert '"workspace_not_found"' in refused.stdout
