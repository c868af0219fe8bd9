"""Tokens: looked at and revoked; neither secret nor digest is ever on a page."""

from __future__ import annotations

from typing import Any

import pytest

from crewship.workspaces.models import ApiToken
from tests.admin.pages import Pages, messages_of, text_of
from tests.cast import Cast
from tests.conftest import Api


@pytest.mark.parametrize("where", ["list", "page"])
def test_digest_and_secret_are_not_shown(admin: Pages, cast: Cast, where: str):
    shown = admin.list(ApiToken) if where == "list" else admin.page(cast.bob.token)
    page = text_of(shown)
    assert cast.bob.token.name in page
    assert cast.bob.token.digest not in page
    assert cast.bob.secret not in page


def test_a_token_is_not_found_by_its_digest(admin: Pages, cast: Cast):
    found = admin.list(ApiToken, q=cast.bob.token.digest).context["cl"]
    assert found.result_count == 0


def test_a_revoked_token_is_refused(admin: Pages, cast: Cast, api: Api):
    answer = admin.act("revoke", cast.bob.token)
    assert messages_of(answer) == ["success: “bob's of bob@example.com”: revoked."]
    assert api.bob.get("/crews").status_code == 401


def test_a_token_is_not_made_changed_or_deleted(admin: Pages, cast: Cast, machine_url: Any):
    answer = admin.client.post(machine_url(cast.bob.token), {"post": "yes", "name": "changed"})
    assert answer.status_code == 403
