"""How a JSONC text is laid out, so that what is added to it looks like what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from crewship.devcontainer.jsonc import LINE_END
from crewship.devcontainer.places import Node
from crewship.devcontainer.types import Json

_BLANK: Final = re.compile(r"[ \t]*")
_COLON: Final = re.compile(r"[ \t]*:[ \t]*")
_TRIVIA: Final = re.compile(r"[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Style:
    unit: str = "  "  # one level of indent
    newline: str = "\n"
    colon: str = ": "
    padding: str = ""  # inside the braces of an object on one line

    @property
    def comma(self) -> str:
        return ", " if self.colon.endswith((" ", "\t")) else ","


def style_of(body: str, root: Node, at: int, parent: Node | None = None) -> Style:
    """The style of the text around ``at``; ``parent``'s last member says most about the colon."""
    nodes = list(_members(root))
    near = [*(parent.children[-1:] if parent else ()), *nodes]
    colons = [body[node.key_end : node.start] for node in near if isinstance(node.key, str)]
    units = [unit for node in (root, *nodes) if (unit := _unit(body, node))]
    one_line = [
        node for node in (root, *nodes) if node.children and isinstance(node.value, dict)
        and not LINE_END.search(body, node.start, node.end)
    ]  # fmt: skip
    padded = one_line and body[one_line[0].start + 1] in " \t"
    return Style(
        unit=units[0] if units else "  ",
        newline=newline_near(body, at),
        colon=colons[0] if colons and _COLON.fullmatch(colons[0]) else ": ",
        padding=" " if padded else "",
    )


def newline_near(body: str, at: int) -> str:
    """The last line ending before ``at``, else the first one behind it, else LF."""
    start = max(body.rfind("\n", 0, at), body.rfind("\r", 0, at))
    if start > 0 and body.startswith("\r\n", start - 1):
        return "\r\n"
    match = LINE_END.search(body, start if start >= 0 else at)
    return match.group() if match else "\n"


def leading_space(body: str, at: int) -> str:
    """The blanks at the start of the line of ``at``."""
    start = max(body.rfind("\n", 0, at), body.rfind("\r", 0, at)) + 1
    match = _BLANK.match(body, start, at)
    return match.group() if match else ""


def is_one_line(body: str, chain: Sequence[Node]) -> bool:
    """Whether the object at the end of ``chain`` takes its next member on the line it has."""
    node = chain[-1]
    if node.children:
        return not LINE_END.search(
            body, before(node, len(node.children) - 1), node.children[-1].key_start
        )
    if LINE_END.search(body, node.start, node.end):
        return False
    return behind_comments(body, node) > node.start + 1 or (
        len(chain) > 1 and nests_on_one_line(body, chain[:-1])
    )


def nests_on_one_line(body: str, chain: Sequence[Node]) -> bool:
    """Whether an object that becomes a member of the one at the end of ``chain`` is written on
    one line: where that is, or where another member is such an object. The parts of the config
    itself each have lines of their own."""
    if is_one_line(body, chain):
        return True
    return len(chain) > 1 and any(
        member.children and not LINE_END.search(body, member.start, member.end)
        for member in chain[-1].children
        if isinstance(member.value, dict)
    )


def before(parent: Node, index: int) -> int:
    """Where the text between the element and what precedes it begins."""
    if index == 0:
        return parent.start + 1
    previous = parent.children[index - 1]
    return previous.end if previous.comma is None else previous.comma + 1


def behind_comments(body: str, parent: Node) -> int:
    """Behind the last comment of an object without members; behind its brace without any."""
    at = found = parent.start + 1
    while match := _TRIVIA.match(body, at, parent.end - 1):
        at = match.end()
        found = at if match.group().startswith("/") else found
    return found


def behind_remarks(body: str, at: int) -> tuple[int, bool]:
    """Behind the comments that follow on the line of ``at``, and whether the line ends there."""
    while True:
        match = _BLANK.match(body, at)
        begin = match.end() if match else at
        comment = _TRIVIA.match(body, begin) if body.startswith(("//", "/*"), begin) else None
        if comment is None:
            return at, False
        at = comment.end()
        if comment.group().startswith("//"):
            return at, True


def render(value: Json, style: Style, indent: str, *, one_line: bool = False) -> str:
    """``value`` as a text whose further lines begin with ``indent``. Arrays of plain values stay
    on one line."""
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = indent + style.unit
    is_object = isinstance(value, dict)
    flat = one_line or not (is_object or any(isinstance(item, dict | list) for item in value))
    pairs = value.items() if isinstance(value, dict) else (("", item) for item in value)
    items = [
        (f"{json.dumps(name, ensure_ascii=False)}{style.colon}" if is_object else "")
        + render(item, style, inner, one_line=flat)
        for name, item in pairs
    ]
    opening, closing = "{}" if is_object else "[]"
    if flat:
        padding = style.padding if is_object else ""
        return f"{opening}{padding}{style.comma.join(items)}{padding}{closing}"
    lines = f",{style.newline}{inner}".join(items)
    return f"{opening}{style.newline}{inner}{lines}{style.newline}{indent}{closing}"


def _members(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        yield from _members(child)


def _unit(body: str, node: Node) -> str:
    """By how much the first element on a line of its own is indented."""
    if not node.children or not LINE_END.search(body, node.start, node.children[0].key_start):
        return ""
    inner = leading_space(body, node.children[0].key_start)
    outer = leading_space(body, node.start)
    return inner.removeprefix(outer) if inner.startswith(outer) else ""
