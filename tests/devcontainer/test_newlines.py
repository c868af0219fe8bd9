from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewship.devcontainer.newlines import to_lf, with_newlines_of

TEXT = st.text("ab\r\n", max_size=12)


@given(TEXT)
def test_a_text_that_nobody_changed_comes_back_as_it_was(text: str) -> None:
    assert with_newlines_of(text, to_lf(text).replace("\n", "\r\n")) == text


@given(TEXT, TEXT)
def test_what_was_typed_is_kept_but_for_line_endings(original: str, posted: str) -> None:
    assert to_lf(with_newlines_of(original, posted)) == to_lf(posted)


@pytest.mark.parametrize(
    ("original", "posted", "expected"),
    [
        ("", "a\r\nb\r\n", "a\nb\n"),
        ("a\r\nb\r\n", "a\r\nx\r\nb\r\n", "a\r\nx\r\nb\r\n"),
        ("a\nb\r\nc\r\n", "a\nb\nX\nc\n", "a\nb\r\nX\r\nc\r\n"),
        ("a\rb", "a\nb\nc", "a\rb\rc"),
    ],
)
def test_a_changed_text_keeps_its_line_endings(original: str, posted: str, expected: str) -> None:
    assert with_newlines_of(original, posted) == expected
