"""Text order as the reference sorts features: ICU's, not code points.

``a_b`` before ``a-b`` before ``a1b`` before ``aab``: punctuation, digits, letters, and case only
where nothing else differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crewship.devcontainer.types import Json

_PUNCTUATION: Final = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"

TextKey = tuple[tuple[tuple[int, int], ...], tuple[bool, ...], str]


def text_key(text: str) -> TextKey:
    """A sort key equal to ICU's root collation for the characters that references can hold."""
    return (
        tuple(_weight(char) for char in text.lower()),
        tuple(char.isupper() for char in text),
        text,
    )


def compare_texts(left: str, right: str) -> int:
    return _compare(text_key(left), text_key(right))


def compare_options(left: Mapping[str, Json], right: Mapping[str, Json]) -> int:
    """Fewer keys first, then key by key the name and the value (false before true)."""
    if len(left) != len(right):
        return len(left) - len(right)
    for one, other in zip(sorted(left), sorted(right), strict=True):
        order = compare_texts(one, other) or _compare_values(left[one], right[other])
        if order:
            return order
    return 0


def _compare_values(left: Json, right: Json) -> int:
    if _type_rank(left) != _type_rank(right):
        return _type_rank(left) - _type_rank(right)
    if isinstance(left, str):
        return compare_texts(left, right)
    return int(left > right) - int(left < right)


def _type_rank(value: Json) -> int:
    """Different types are ordered by their JavaScript names: boolean, number, string."""
    return 0 if isinstance(value, bool) else 2 if isinstance(value, str) else 1


def _weight(char: str) -> tuple[int, int]:
    index = _PUNCTUATION.find(char)
    if index >= 0:
        return 0, index
    if "0" <= char <= "9":
        return 1, ord(char)
    return (2 if "a" <= char <= "z" else 3), ord(char)


def _compare(left: TextKey, right: TextKey) -> int:
    return (left > right) - (left < right)
