"""The audit trail's page."""

from __future__ import annotations

import pytest

from tests.cast import Cast
from tests.dashboard.conftest import Browse


@pytest.mark.parametrize(
    ("name", "status"),
    [("alice", 200), ("adam", 200), ("mona", 403), ("bob", 403), ("vera", 403), ("mallory", 404)],
)
def test_the_trail_is_for_those_who_manage(browse: Browse, name: str, status: int):
    assert getattr(browse, name).get("/w/acme/audit").status_code == status


def test_what_is_done_in_the_dashboard_is_in_the_trail(cast: Cast, browse: Browse, host):
    browse.mona.post("/w/acme/crews/backend/provision")
    page = browse.alice.get("/w/acme/audit").content.decode()
    assert "provision.started" in page
    assert "mona@example.com" in page


def test_the_trail_is_filtered(cast: Cast, browse: Browse, host):
    browse.mona.post("/w/acme/crews/backend/provision")
    browse.adam.post("/w/acme/members", {"email": "x@example.com", "role": "VIEWER"})
    page = browse.alice.get("/w/acme/audit?kind=invitation").content.decode()
    assert "invitation.made" in page
    assert "provision.started" not in page
    page = browse.alice.get("/w/acme/audit?q=mona").content.decode()
    assert "provision.started" in page
    assert "invitation.made" not in page


def test_no_act_of_another_workspace_is_shown(browse: Browse, host):
    browse.mona.post("/w/acme/crews/backend/provision")
    assert "mona@example.com" not in browse.mallory.get("/w/evil/audit").content.decode()
