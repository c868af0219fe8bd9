"""Colours of a log line as spans with classes; every other control is shown or dropped.

Stored lines are clean (``provisioning/pipeline/output.py``); this does not rely on it, since rows
of an older version or another writer are shown too. ansi.js does the same for live lines.
"""

from __future__ import annotations

import re
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

MAX_LINE: Final = 4000
_ESCAPES: Final = re.compile(
    r"\x1b\[([0-9;:]*)m"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)"
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]?"
)
_BIDI: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROLS: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def render_line(raw: str) -> SafeString:
    """The line as HTML: text and spans of the classes b, f0-f15 and g0-g15."""
    line = raw.rstrip("\r").rpartition("\r")[2]
    cut = len(line) > MAX_LINE
    out: list[str] = []
    style: dict[str, str] = {}
    at = 0
    line = line[:MAX_LINE]
    for match in _ESCAPES.finditer(line):
        out.append(_text(line[at : match.start()], style))
        at = match.end()
        if match[1] is not None:
            style = _restyled(style, match[1])
    out.append(_text(line[at:], style))
    if cut:
        out.append('<span class="cut"> … line cut</span>')
    return mark_safe("".join(out))  # noqa: S308  # every text went through escape()


def _text(text: str, style: dict[str, str]) -> str:
    if not text:
        return ""
    shown = escape(_CONTROLS.sub("", _BIDI.sub(lambda m: f"<U+{ord(m[0]):04X}>", text)))
    classes = " ".join(style[name] for name in sorted(style))
    return f'<span class="{classes}">{shown}</span>' if classes else str(shown)


def _restyled(style: dict[str, str], codes: str) -> dict[str, str]:
    """The style after an SGR sequence: bold and the 16 colours; others are skipped."""
    new = dict(style)
    numbers = [int(code) if code.isdigit() else 0 for code in codes.split(";")]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            new = {}
        elif code == 1:
            new["bold"] = "b"
        elif code == 22:
            new.pop("bold", None)
        elif code in {38, 48}:  # 256 colours or RGB: its arguments are no codes
            del numbers[: 2 if numbers[:1] == [5] else 4]
        elif code in {39, 49}:
            new.pop("front" if code == 39 else "ground", None)
        else:
            new |= _colour(code)
    return new


def _colour(code: int) -> dict[str, str]:
    for base, first in ((30, 0), (90, 8)):
        if base <= code < base + 8:
            return {"front": f"f{code - base + first}"}
        if base + 10 <= code < base + 18:
            return {"ground": f"g{code - base - 10 + first}"}
    return {}
