"""Where the values of a JSONC text stand: what edits and marks in an editor need to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from crewship.devcontainer.jsonc import LINE_END, Scanner
from crewship.devcontainer.types import Json
from crewship.domain.errors import ConfigInvalid

BOM: Final = "\ufeff"


@dataclass(slots=True)
class Node:
    """A value of the text, ``text[start:end]``. In an object ``key`` is its name and
    ``key_start`` where that stands; in an array ``key`` is the index and ``key_start`` the
    value's own start. ``comma`` is the offset of the comma behind it."""

    key: str | int
    key_start: int
    start: int
    key_end: int = 0
    end: int = 0
    comma: int | None = None
    value: Json = None
    children: list[Node] = field(default_factory=list)

    def child(self, key: str | int) -> Node | None:
        return next((node for node in self.children if node.key == key), None)


@dataclass(frozen=True, slots=True)
class Span:
    """``text[start:end]``; line and column count from 1, in characters, a BOM not counted."""

    start: int
    end: int
    line: int
    column: int


def read_places(text: str) -> Node | None:
    """The tree of the text's values; None for a text with nothing but white space and comments.

    Offsets count without a BOM. Raises ConfigInvalid as ``jsonc.parse`` does.
    """
    scanner = _PlacesScanner(text.removeprefix(BOM))
    scanner.skip()
    if scanner.at == len(scanner.text):
        return None
    scanner.document()
    if scanner.duplicates:
        raise ConfigInvalid(scanner.duplicates)
    return scanner.root.children[0]


def span(text: str, path: str) -> Span | None:
    """Where the value that a problem's path names stands, or the nearest thing around it.

    ``path`` is as in ConfigInvalid: names joined by dots though they may have dots themselves,
    indexes in brackets. Of a member the name is meant, as there a mark says most; of an element
    the value. None where the path's first name is not in the text, or the text can't be read.
    """
    return spans(text, [path])[0]


def spans(text: str, paths: Sequence[str]) -> list[Span | None]:
    """``span`` of each path, with the text read once."""
    try:
        root = read_places(text)
    except ConfigInvalid:
        root = None
    body = text.removeprefix(BOM)
    offset = len(text) - len(body)
    out: list[Span | None] = []
    for path in paths:
        found = _find(root, path) if root and path else None
        if found is None:
            out.append(None)
            continue
        end = found.key_end if isinstance(found.key, str) else found.end
        line, column = line_and_column(body, found.key_start)
        out.append(Span(found.key_start + offset, end + offset, line, column))
    return out


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Both count from 1; a line ends with LF, CRLF or CR, as for ``jsonc.parse``."""
    line, line_start = 1, 0
    for match in LINE_END.finditer(text, 0, offset):
        line, line_start = line + 1, match.end()
    return line, offset - line_start + 1


def _find(node: Node, path: str) -> Node | None:
    """The deepest node whose names begin ``path``; of two names that fit, the longer one leads
    to it unless only the shorter one has what follows."""
    best: Node | None = None
    for child in sorted(node.children, key=lambda child: -len(str(child.key))):
        rest = _below(child.key, path)
        if rest is None:
            continue
        if not rest:
            return child
        deeper = _find(child, rest)
        if deeper is not None:
            return deeper
        best = best or child
    return best


def _below(key: str | int, path: str) -> str | None:
    """What is left of ``path`` behind ``key``; None when it does not begin with it."""
    for name in (f"[{key}]", str(key)) if isinstance(key, int) else (key,):
        rest = path.removeprefix(name)
        if rest == path and name:
            continue
        if not rest or rest[0] in ".[":
            return rest.removeprefix(".")
    return None


class _PlacesScanner(Scanner):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.root = Node("", 0, 0)
        self._open = [self.root]
        self._name = (0, 0)  # where the last string stood: a member's name, when its value begins

    def value(self) -> Json:
        parent = self._open[-1]
        if self.text.startswith("{", parent.start) and parent is not self.root:
            node = Node(self.path[-1], self._name[0], self.at, self._name[1])
        else:
            node = Node(len(parent.children), self.at, self.at)
        parent.children.append(node)
        self._open.append(node)
        node.value = super().value()
        node.end = self.at
        self._open.pop()
        return node.value

    def string(self) -> str:
        start = self.at
        text = super().string()
        self._name = (start, self.at)
        return text

    def separator(self, closing: str) -> None:
        self.skip()
        if self.peek() == ",":
            self._open[-1].children[-1].comma = self.at
        super().separator(closing)
