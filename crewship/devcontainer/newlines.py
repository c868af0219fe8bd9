"""Line endings that a browser's text area loses, given back."""

from __future__ import annotations

import re
from typing import Final

from crewship.devcontainer.jsonc import LINE_END

_PIECES: Final = re.compile(r"\r\n|.", re.DOTALL)


def with_newlines_of(original: str, posted: str) -> str:
    """``posted`` with the line endings of ``original`` wherever the two are alike.

    A text area shows every line ending as LF, and a form posts it as CRLF (HTML, 4.10.11), so a
    text that nobody changed would come back changed. What was typed anew gets the ending that
    most lines of the original have, LF where it has none.
    """
    old = _PIECES.findall(original)
    plain_old, plain_new = to_lf(original), to_lf(posted)
    begin = _alike(plain_old, plain_new)
    most = min(len(plain_old), len(plain_new)) - begin
    end = min(most, _alike(plain_old[::-1], plain_new[::-1]))
    usual = _usual(original)
    middle = plain_new[begin : len(plain_new) - end].replace("\n", usual)
    joined = "".join([*old[:begin], middle, *old[len(old) - end :]])
    # A CR of its own may have come to stand before a LF; then no ending is worth keeping.
    return joined if to_lf(joined) == plain_new else plain_new.replace("\n", usual)


def to_lf(text: str) -> str:
    return LINE_END.sub("\n", text)


def _alike(one: str, other: str) -> int:
    """With how many equal characters both begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _usual(text: str) -> str:
    found = LINE_END.findall(text)
    return max(dict.fromkeys(found), key=found.count, default="\n")
