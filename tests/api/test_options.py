"""OPTIONS is answered for every caller who may read."""

from __future__ import annotations

from typing import Any


def test_options_of_a_workspace_route_is_no_error(api: Any) -> None:
    assert api.vera.options("/crews").status_code == 200
