"""How an installation logs in at registries."""

from __future__ import annotations

import pytest

from provisioning.toolbox import registry_login


@pytest.fixture(autouse=True)
def _docker_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.toolbox.credentials_for", lambda host: ("docker", host))


def test_a_bare_secret_goes_with_any_user() -> None:
    assert registry_login({"ghcr.io": "s3cret"}, "ghcr.io") == ("crewship", "s3cret")


def test_a_user_stands_before_the_secret() -> None:
    assert registry_login({"r.example": "robot:s:x"}, "r.example") == ("robot", "s:x")


def test_a_token_is_for_its_own_host_only() -> None:
    assert registry_login({"ghcr.io": "s3cret"}, "r.example") == ("docker", "r.example")
