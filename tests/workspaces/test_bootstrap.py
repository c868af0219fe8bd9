from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from crewship.domain.roles import Role
from crewship.workspaces.models import Membership, User, Workspace
from tests.cast import Cast
from tests.conftest import Client

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_migration(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """The test database is migrated; migrating within a test's transaction is not possible."""
    command = "crewship.workspaces.management.commands.bootstrap.call_command"
    monkeypatch.setattr(command, lambda *_args, **_options: None)


def bootstrap(slug: str = "first", email: str = "new@example.com") -> dict[str, Any]:
    out = io.StringIO()
    call_command("bootstrap", "--workspace", slug, "--email", email, "--json", stdout=out)
    made: dict[str, Any] = json.loads(out.getvalue())
    return made


def test_it_makes_workspace_owner_and_token() -> None:
    made = bootstrap()
    assert set(made) == {"workspace_id", "email", "password", "token"}
    user = User.objects.get(email="new@example.com")
    assert user.check_password(made["password"])
    assert Membership.objects.get(user=user).role == Role.OWNER
    assert Workspace.objects.get(slug="first").pk == made["workspace_id"]
    assert Client(made["token"]).get("/crews").status_code == 200


def test_doing_it_twice_changes_nothing_but_gives_a_token() -> None:
    first = bootstrap()
    second = bootstrap()
    assert second["password"] is None
    assert second["workspace_id"] == first["workspace_id"]
    assert (User.objects.count(), Workspace.objects.count()) == (1, 1)
    assert Client(first["token"]).get("/crews").status_code == 200
    assert Client(second["token"]).get("/crews").status_code == 200


def test_an_existing_users_password_is_untouched(cast: Cast) -> None:
    made = bootstrap(slug="another", email="Alice@Example.com")
    assert (made["password"], made["email"]) == (None, "alice@example.com")
    assert User.objects.get(pk=cast.alice.user.pk).check_password("alice-has-a-password")


def test_only_the_first_user_of_all_becomes_a_superuser() -> None:
    bootstrap()
    bootstrap(email="second@example.com")
    supers = User.objects.filter(is_superuser=True, is_staff=True)
    assert [user.email for user in supers] == ["new@example.com"]


def test_no_role_is_raised_silently(cast: Cast) -> None:
    with pytest.raises(CommandError, match="MEMBER"):
        bootstrap(slug="acme", email="bob@example.com")
    assert Membership.objects.get(user=cast.bob.user).role == Role.MEMBER


@pytest.mark.parametrize(
    ("slug", "email"),
    [("A B", "a@example.com"), ("ab\n", "a@example.com"), ("ok", "no-email"), ("ok", "")],
)
def test_a_bad_slug_or_email_makes_nothing(slug: str, email: str) -> None:
    with pytest.raises(CommandError):
        bootstrap(slug=slug, email=email)
    assert not Workspace.objects.exists()
    assert not User.objects.exists()


def test_it_says_on_stderr_which_installation_that_is_and_whether_it_is_new(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT / "manage.py"), "bootstrap", "--json"]
    command += ["--workspace", "first", "--email", "new@example.com"]
    environment = {"PATH": os.environ["PATH"], "CREWSHIP_DATA_DIR": str(tmp_path / "data")}
    said = []
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["email"] == "new@example.com"
        said.append(done.stderr)
    new, known = said
    assert f"a new installation in {tmp_path}/data" in new
    assert f"the installation in {tmp_path}/data" in known
    assert "new" not in known.replace(str(tmp_path), "")
