"""The fuzz's own tools."""

from __future__ import annotations

import json

from tests.fuzz.grammar import cases
from tests.fuzz.shrink import smallest


def test_the_same_seed_gives_the_same_cases() -> None:
    assert list(cases(7, 40)) == list(cases(7, 40))
    assert list(cases(7, 40)) != list(cases(8, 40))


def test_a_body_shrinks_to_what_fails() -> None:
    body = json.dumps({"name": "x", "mise_config": "abc!def", "slug": "xx"}).encode()
    assert json.loads(smallest(body, lambda small: b"!" in small)) == {"mise_config": "!"}


def test_a_body_that_is_no_json_shrinks_too() -> None:
    assert smallest(b"{{{{!}}}", lambda small: b"!" in small) == b"!"
