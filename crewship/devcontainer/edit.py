"""Edits of a JSONC text that change one value and keep every other byte.

Comments are lost only where they stand inside a value that is replaced, or a member that is
removed. What is
written anew follows its neighbours: indent, line ending, trailing comma, ``"a": 1`` or ``"a":1``,
one line or several.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from crewship.devcontainer import jsonc
from crewship.devcontainer.findings import type_name
from crewship.devcontainer.jsonc import LINE_END
from crewship.devcontainer.layout import (
    Style,
    before,
    behind_comments,
    behind_remarks,
    is_one_line,
    leading_space,
    nests_on_one_line,
    newline_near,
    render,
    style_of,
)
from crewship.devcontainer.places import BOM, Node, read_places
from crewship.devcontainer.types import Json
from crewship.domain.errors import ConfigInvalid, Problem

Path = tuple[str | int, ...]  # names and indexes: ("features", "ghcr.io/o/features/x:1", "version")

_BLANK: Final = re.compile(r"[ \t]*")


def set_value(text: str, path: Path, value: Json) -> str:
    """``text`` with ``value`` at ``path``: replaced where something stands there, else added
    behind the last member, with the objects that are missing on the way (null counts as missing).

    ``jsonc.parse`` of the result equals that of ``text`` with this one change. A text that says
    nothing yet becomes an object. Raises ConfigInvalid for a text that can't be read, for a path
    through something that is no object, and for a value that no text can say.
    """
    bom, body = _split(text)
    root = read_places(body)
    if root is None:
        changed = _new_document(body, _wrapped(path, value))
    else:
        chain = _walk(root, path)
        rest = path[len(chain) - 1 :]
        last = chain[-1]
        if not rest and _same(last.value, value):
            return text
        if not rest or last.value is None:
            changed = _replace(body, chain, _wrapped(rest, value))
        elif isinstance(last.value, dict):
            changed = _insert(body, chain, str(rest[0]), _wrapped(rest[1:], value))
        else:
            raise _no_object(path[: len(chain) - 1], last.value)
    jsonc.parse(changed)
    return bom + changed


def remove(text: str, path: Path) -> str:
    """``text`` without the member (or element) at ``path``, and without the line it leaves empty;
    comments around it stay. Unchanged where nothing stands there. Raises ConfigInvalid for a text
    that can't be read."""
    bom, body = _split(text)
    root = read_places(body)
    if root is None or not path:
        return text
    chain = _walk(root, path)
    if len(chain) <= len(path):
        return text
    return bom + _cut(body, _without(body, chain[-2], chain[-1]))


def _split(text: str) -> tuple[str, str]:
    body = text.removeprefix(BOM)
    return text[: len(text) - len(body)], body


def _walk(root: Node, path: Path) -> list[Node]:
    """The nodes along ``path`` as far as there are any, the root first."""
    chain = [root]
    for key in path:
        child = chain[-1].child(key)
        if child is None:
            break
        chain.append(child)
    return chain


def _wrapped(path: Path, value: Json) -> Json:
    for key in reversed(path):
        value = {str(key): value}
    return value


def _same(one: Json, other: Json) -> bool:
    """Whether both are written alike: Python takes ``True`` for 1."""
    return repr(one) == repr(other)


def _no_object(path: Path, value: Json) -> ConfigInvalid:
    message = f"expected an object, found {type_name(value)}"
    return ConfigInvalid([Problem(".".join(map(str, path)), "wrong_type", message)])


def _new_document(body: str, value: Json) -> str:
    """The comments that are there, then the value."""
    newline = newline_near(body, len(body))
    lead = "" if not body or body.endswith(("\n", "\r")) else newline
    return f"{body}{lead}{render(value, Style(newline=newline), '')}{newline}"


def _replace(body: str, chain: Sequence[Node], value: Json) -> str:
    node = chain[-1]
    style = style_of(body, chain[0], node.start)
    one_line = len(chain) > 1 and nests_on_one_line(body, chain[:-1])
    indent = leading_space(body, node.key_start)
    written = render(value, style, indent, one_line=one_line)
    return body[: node.start] + written + body[node.end :]


def _insert(body: str, chain: Sequence[Node], key: str, value: Json) -> str:
    """A new last member of the object at the end of ``chain``."""
    parent = chain[-1]
    style = style_of(body, chain[0], parent.end, parent)
    one_line = is_one_line(body, chain)
    flat = nests_on_one_line(body, chain)
    indent = _member_indent(body, parent, style, one_line)
    name = json.dumps(key, ensure_ascii=False)
    member = f"{name}{style.colon}{render(value, style, indent, one_line=flat)}"
    if not parent.children:
        return _fill(body, parent, member, style, indent, one_line)
    last = parent.children[-1]
    anchor = last.end if last.comma is None else last.comma + 1
    at, is_line_over = behind_remarks(body, anchor)
    lead = style.newline + indent
    if one_line and not is_line_over:
        lead = _one_line_gap(body, parent, style)
    if last.comma is not None:
        return f"{body[:at]}{lead}{member},{body[at:]}"
    return f"{body[:anchor]},{body[anchor:at]}{lead}{member}{body[at:]}"


def _member_indent(body: str, parent: Node, style: Style, one_line: bool) -> str:
    if parent.children and not one_line:
        return leading_space(body, parent.children[-1].key_start)
    behind = behind_comments(body, parent)
    if not parent.children and LINE_END.search(body, parent.start, behind):
        return leading_space(body, behind)
    return leading_space(body, parent.start) + style.unit


def _fill(body: str, parent: Node, member: str, style: Style, indent: str, one_line: bool) -> str:
    """The first member of an empty object, behind the comments that are in it."""
    at = behind_comments(body, parent)
    end = parent.end - 1
    if one_line and at > parent.start + 1:
        return f"{body[:at]} {member}{body[at:]}"
    if one_line:
        return f"{body[:at]}{style.padding}{member}{style.padding}{body[end:]}"
    if LINE_END.search(body, at, end):
        return f"{body[:at]}{style.newline}{indent}{member}{body[at:]}"
    closing = style.newline + leading_space(body, parent.start)
    return f"{body[:at]}{style.newline}{indent}{member}{closing}{body[end:]}"


def _one_line_gap(body: str, parent: Node, style: Style) -> str:
    """What stands between two members on one line."""
    if len(parent.children) > 1:
        gap = body[before(parent, len(parent.children) - 1) : parent.children[-1].key_start]
        if _BLANK.fullmatch(gap):
            return gap
    return style.comma[1:]


def _without(body: str, parent: Node, node: Node) -> list[tuple[int, int]]:
    """The pieces of the text to leave out so that ``node`` is gone."""
    around = body[parent.start + 1 : node.key_start] + body[node.end : parent.end - 1]
    if len(parent.children) == 1 and not around.strip(" \t\r\n,"):
        return [(parent.start + 1, parent.end - 1)]
    index = parent.children.index(node)
    start, end = node.key_start, node.end
    cuts: list[tuple[int, int]] = []
    if node.comma is not None:
        if _BLANK.fullmatch(body, end, node.comma):
            end = node.comma + 1
        else:
            cuts.append((node.comma, node.comma + 1))
    elif index > 0:
        comma = parent.children[index - 1].comma or 0
        if _BLANK.fullmatch(body, comma + 1, start):
            start = comma
        else:
            cuts.append((comma, comma + 1))
    cuts.append(_with_blanks(body, start, end))
    return cuts


def _with_blanks(body: str, start: int, end: int) -> tuple[int, int]:
    """The piece with the whole line where it stood alone, else with the blanks on one side."""
    left = len(body[:start].rstrip(" \t"))
    match = _BLANK.match(body, end)
    right = match.end() if match else end
    line_end = LINE_END.match(body, right)
    begins_line = left == 0 or body[left - 1] in "\r\n"
    if begins_line:
        return (left, line_end.end()) if line_end else (start, right)
    if line_end or body.startswith(("}", "]"), right):
        return left, end
    return start, right


def _cut(body: str, cuts: Sequence[tuple[int, int]]) -> str:
    for start, end in sorted(cuts, reverse=True):
        body = body[:start] + body[end:]
    return body
