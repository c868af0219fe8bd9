"""Cursors that were not made by us."""

from __future__ import annotations

import base64
from typing import Any

from tests.problem import problem


def test_a_cursor_with_a_nul_is_an_unknown_page(api: Any) -> None:
    cursor = base64.b64encode(b"p=crw_%00").decode()
    problem(api.alice.get(f"/crews?cursor={cursor}"), 404, "not_found")


def test_a_workspace_named_with_a_nul_is_unknown(api: Any) -> None:
    problem(api.alice.get("/crews?workspace_id=a%00b"), 404, "workspace_not_found")


def test_authentication_is_asked_for_before_the_form_of_the_answer(api: Any) -> None:
    answer = api.nobody.get("/crews", headers={"Accept": "text/html"})
    problem(answer, 401, "not_authenticated")
