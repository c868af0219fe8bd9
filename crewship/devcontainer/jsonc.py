"""Strict JSONC: JSON with comments, trailing commas and a BOM, and nothing else.

The reference CLI reads broken texts as partial objects, which hides typing errors; here every
flaw has a line and a column. Runs in linear time; nesting ends at ``MAX_DEPTH``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final, NoReturn

from crewship.devcontainer.findings import clip, shorten
from crewship.devcontainer.types import Json
from crewship.domain.errors import ConfigInvalid, Problem

MAX_DEPTH: Final = 100
MAX_NUMBER_LENGTH: Final = 100  # characters; int() of thousands of digits is slow or refused

_SPACE = re.compile(r"[ \t\r\n]*")
_TO_END_OF_LINE = re.compile(r"[^\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
LINE_END: Final = re.compile(r"\r\n|\n|\r")
_HEX4 = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPES: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_WORDS: Final = (("true", True), ("false", False), ("null", None))


def parse(text: str) -> Json:
    """The value of ``text``; objects are dicts whose keys stand in the order of the text.

    A number without a fractional part is an int, however it was written (``1.0`` is 1, as for
    JavaScript). Raises ConfigInvalid with line and column: one ``syntax`` or ``too_deep``
    problem, or all ``duplicate_key`` problems.
    """
    scanner = Scanner(text.removeprefix("\ufeff"))
    value = scanner.document()
    if scanner.duplicates:
        raise ConfigInvalid(scanner.duplicates)
    return value


class Scanner:
    """Reads one text without a BOM; ``places.py`` derives one that notes where things are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.path: list[str] = []
        self.duplicates: list[Problem] = []
        # Position up to which lines are counted, so that many duplicates stay linear.
        self._counted = (0, 1, 0)  # offset, line, offset where the line starts

    def document(self) -> Json:
        self.skip()
        if self.at == len(self.text):
            self.fail("the text is empty")
        value = self.value()
        self.skip()
        if self.at < len(self.text):
            self.fail(f"the value has ended, but {self.found()} follows")
        return value

    def skip(self) -> None:
        """Moves behind white space and comments."""
        while True:
            self.at = self._end_of(_SPACE)
            if self.text.startswith("//", self.at):
                self.at = self._end_of(_TO_END_OF_LINE)
            elif self.text.startswith("/*", self.at):
                end = self.text.find("*/", self.at + 2)
                if end < 0:
                    self.fail("the comment has no end")
                self.at = end + 2
            else:
                return

    def value(self) -> Json:
        char = self.peek()
        if char == "{":
            return self.nested(self.members)
        if char == "[":
            return self.nested(self.elements)
        if char == '"':
            return self.string()
        if char == "-" or "0" <= char <= "9":
            return self.number()
        for word, value in _WORDS:
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        self.fail(f"expected a value, found {self.found()}")

    def nested(self, read: Callable[[], Json]) -> Json:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} levels of nesting", code="too_deep")
        self.at += 1
        value = read()
        self.at += 1
        self.depth -= 1
        return value

    def members(self) -> dict[str, Json]:
        out: dict[str, Json] = {}
        self.skip()
        while self.peek() != "}":
            if self.peek() != '"':
                self.fail(f"expected a name in double quotes or '}}', found {self.found()}")
            start = self.at
            name = self.string()
            self.path.append(name)
            if name in out:
                message = f"{shorten(name)!r} is here twice"
                self.duplicates.append(self.problem_at(start, "duplicate_key", message))
            self.skip()
            if self.peek() != ":":
                self.fail(f"expected ':' after the name, found {self.found()}")
            self.at += 1
            self.skip()
            out[name] = self.value()
            self.path.pop()
            self.separator("}")
        return out

    def elements(self) -> list[Json]:
        out: list[Json] = []
        self.skip()
        while self.peek() != "]":
            self.path.append(str(len(out)))
            out.append(self.value())
            self.path.pop()
            self.separator("]")
        return out

    def separator(self, closing: str) -> None:
        self.skip()
        if self.peek() == ",":
            self.at += 1
            self.skip()
        elif self.peek() != closing:
            self.fail(f"expected ',' or '{closing}', found {self.found()}")

    def string(self) -> str:
        start = self.at
        self.at += 1
        parts: list[str] = []
        while True:
            end = self._end_of(_PLAIN)
            parts.append(self.text[self.at : end])
            self.at = end
            char = self.peek()
            if char == '"':
                self.at += 1
                return "".join(parts)
            if char == "\\":
                parts.append(self.escape())
            elif not char:
                self.at = start
                self.fail("the string has no end")
            elif char in "\r\n":
                self.fail("a line break inside a string; write \\n")
            elif "\ud800" <= char <= "\udfff":
                self.fail("half a surrogate pair")
            else:
                self.fail("a control character inside a string")

    def escape(self) -> str:
        kind = self.text[self.at + 1 : self.at + 2]
        if kind != "u":
            if kind not in _ESCAPES:
                self.fail(f"unknown escape \\{shorten(kind)}")
            self.at += 2
            return _ESCAPES[kind]
        unit = self.unit(self.at)
        length = 6
        if 0xD800 <= unit < 0xDC00 and self.text.startswith("\\u", self.at + 6):
            low = self.unit(self.at + 6)
            if 0xDC00 <= low < 0xE000:
                unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
                length = 12
        if 0xD800 <= unit < 0xE000:
            self.fail("half a surrogate pair")
        if unit == 0:
            self.fail("a NUL character")
        self.at += length
        return chr(unit)

    def unit(self, at: int) -> int:
        digits = _HEX4.match(self.text, at + 2)
        if digits is None:
            self.fail("\\u needs four hexadecimal digits")
        return int(digits.group(), 16)

    def number(self) -> int | float:
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            self.fail("a '-' without a number")
        token = match.group()
        if len(token) > MAX_NUMBER_LENGTH:
            self.fail(f"a number of more than {MAX_NUMBER_LENGTH} characters")
        value: int | float
        if match.group(1) or match.group(2):
            value = float(token)
            if not math.isfinite(value):
                self.fail("a number too large to represent")
            if value.is_integer() and abs(value) < 1e21:  # where JavaScript stops writing digits
                value = int(value)
        else:
            value = int(token)
        self.at += len(token)
        return value

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def found(self) -> str:
        char = self.peek()
        return f"'{shorten(char)}'" if char else "the end of the text"

    def _end_of(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        return match.end() if match else self.at

    def problem_at(self, offset: int, code: str, message: str) -> Problem:
        counted, line, line_start = self._counted
        for match in LINE_END.finditer(self.text, counted, offset):
            line += 1
            line_start = match.end()
        self._counted = (offset, line, line_start)
        path = clip(".".join(self.path)) if code == "duplicate_key" else ""
        return Problem(path, code, message, line, offset - line_start + 1)

    def fail(self, message: str, code: str = "syntax") -> NoReturn:
        raise ConfigInvalid([*self.duplicates, self.problem_at(self.at, code, message)])
