from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewship.devcontainer import jsonc
from crewship.devcontainer.edit import Path, remove, set_value
from crewship.devcontainer.types import Json
from crewship.domain.errors import ConfigInvalid

SET = {
    "behind the remark of the last line": (
        '{\n  "a": 1 // one\n  // end\n}',
        ("b",), 2,
        '{\n  "a": 1, // one\n  "b": 2\n  // end\n}',
    ),
    "with a trailing comma, as before": (
        '{\r\n\t"a": 1, /* one */\r\n}\r\n',
        ("b",), 2,
        '{\r\n\t"a": 1, /* one */\r\n\t"b": 2,\r\n}\r\n',
    ),
    "on one line": ('{ "a":1, "b":2 }', ("c",), {"x": True}, '{ "a":1, "b":2, "c":{ "x":true } }'),
    "on one line, compact": ('{"a":1}', ("b",), [1, 2], '{"a":1,"b":[1,2]}'),
    "a line comment ends the one line": (
        '{"a": 1 // one\n}', ("b",), 2, '{"a": 1, // one\n  "b": 2\n}',
    ),
    "where the comma stands alone": (
        '{\n  "a": 1 // one\n  , // comma\n}',
        ("b",), 2,
        '{\n  "a": 1 // one\n  , // comma\n  "b": 2,\n}',
    ),
    "where the brace shares the line": (
        '{ "a": 1,\n  "b": 2 }', ("c",), 3, '{ "a": 1,\n  "b": 2,\n  "c": 3 }',
    ),
    "behind a comment of two lines": (
        '{\n  "a": 1 /* one\n  or two */\n}',
        ("b",), 2,
        '{\n  "a": 1, /* one\n  or two */\n  "b": 2\n}',
    ),
    "in an empty object": ("{}", ("a",), 1, '{\n  "a": 1\n}'),
    "in an empty object with a line": ("{\n\n}", ("a",), 1, '{\n  "a": 1\n\n}'),
    "in an object with a comment only": (
        '{\n  "features": {\n    // here\n  }\n}',
        ("features", "x"), {},
        '{\n  "features": {\n    // here\n    "x": {}\n  }\n}',
    ),
    "in an object with a comment on its line": (
        '{"f": {/* here */}}', ("f", "x"), 1, '{"f": {/* here */ "x": 1}}',
    ),
    "with all that is missing on the way": (
        "{}", ("a", "b", "c"), "x",
        '{\n  "a": {\n    "b": {\n      "c": "x"\n    }\n  }\n}',
    ),
    "in the place of null": (
        '{\n  "f": null // none\n}', ("f", "x"), 1, '{\n  "f": {\n    "x": 1\n  } // none\n}',
    ),
    "as objects beside it are written": (
        '{\n  "f": {\n    "a": { "v": 1 }\n  }\n}',
        ("f", "b"), {"v": 2},
        '{\n  "f": {\n    "a": { "v": 1 },\n    "b": { "v": 2 }\n  }\n}',
    ),
    "in an empty object between objects on one line": (
        '{\n  "f": {\n    "a": {"v": 1},\n    "b": {}\n  }\n}',
        ("f", "b", "v"), 2,
        '{\n  "f": {\n    "a": {"v": 1},\n    "b": {"v": 2}\n  }\n}',
    ),
    "replacing only the value": (
        '{ "a" /* x */ : /* y */ 1 /* z */ }', ("a",), "2", '{ "a" /* x */ : /* y */ "2" /* z */ }',
    ),
    "an element by its index": ("[1, /* x */ 2]", (1,), 3, "[1, /* x */ 3]"),
    "a name with dots and quotes": ("{}", ('a."b',), 1, '{\n  "a.\\"b": 1\n}'),
    "an escaped name is the same name": ('{"\\u0061": 1}', ("a",), 2, '{"\\u0061": 2}'),
    "true is not 1": ('{"a": 1}', ("a",), True, '{"a": true}'),
    "in a text that says nothing": ("", ("a",), 1, '{\n  "a": 1\n}\n'),
    "behind a BOM and a comment": ("\ufeff// x", ("a",), 1, '\ufeff// x\n{\n  "a": 1\n}\n'),
    "with the line ending of the neighbours": (
        '{\r\n "a": {},\n "b": 1\n}', ("c",), 2, '{\r\n "a": {},\n "b": 1,\n "c": 2\n}',
    ),
    "with CR as line ending": ('{\r "a": 1\r}', ("b",), 2, '{\r "a": 1,\r "b": 2\r}'),
}  # fmt: skip


@pytest.mark.parametrize(("text", "path", "value", "expected"), SET.values(), ids=SET)
def test_value_is_set(text: str, path: Path, value: Json, expected: str) -> None:
    assert set_value(text, path, value) == expected


REMOVED = {
    "with its line": ('{\n  "a": 1,\n  "b": 2\n}', ("a",), '{\n  "b": 2\n}'),
    "the last with the comma before": ('{\n  "a": 1,\n  "b": 2\n}', ("b",), '{\n  "a": 1\n}'),
    "the last before a trailing comma": ('{\n  "a": 1,\n  "b": 2,\n}', ("b",), '{\n  "a": 1,\n}'),
    "in the middle of a line": ('{ "a": 1, "b": 2, "c": 3 }', ("b",), '{ "a": 1, "c": 3 }'),
    "at the end of a line": ('{ "a": 1, "b": 2 }', ("b",), '{ "a": 1 }'),
    "the only one": ('{\n  "a": 1,\n}', ("a",), "{}"),
    "the only one, not the comment": (
        '{\n  "a": 1 // one\n}', ("a",), "{\n  // one\n}",
    ),
    "but the remarks around it stay": (
        '{\n  // before\n  "a": 1, // one\n  "b": 2\n}',
        ("a",),
        '{\n  // before\n  // one\n  "b": 2\n}',
    ),
    "and the comment before its comma": (
        '{ "a": 1 /* x */, "b": 2 }', ("a",), '{ /* x */ "b": 2 }',
    ),
    "and the comment behind the comma before": (
        '{ "a": 1, /* x */ "b": 2 }', ("b",), '{ "a": 1 /* x */ }',
    ),
    "on lines that begin with commas": (
        '{ "a": 1\n, "b": 2\n}', ("b",), '{ "a": 1\n}',
    ),
    "several lines at once": (
        '{\n  "a": {\n    "x": 1\n  },\n  "b": 2\n}', ("a",), '{\n  "b": 2\n}',
    ),
    "an element": ("[1, 2, 3]", (1,), "[1, 3]"),
    "nothing where nothing stands": ('{"a": 1}', ("b", "c"), '{"a": 1}'),
    "nothing of an empty text": ("// x", ("b",), "// x"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "path", "expected"), REMOVED.values(), ids=REMOVED)
def test_member_is_removed(text: str, path: Path, expected: str) -> None:
    assert remove(text, path) == expected


def test_equal_value_changes_nothing() -> None:
    text = '{"a": 1.0}'
    assert set_value(text, ("a",), 1) == text


@pytest.mark.parametrize("text", ["[1]", '{"a": 1}', '{"a": "x"}'])
def test_a_path_through_no_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        set_value(text, ("a", "b"), 1)
    assert caught.value.problems[0].code == "wrong_type"


@pytest.mark.parametrize("text", ['{"a": }', '{"a": 1, "a": 2}', "{"])
def test_a_text_that_cannot_be_read_is_not_edited(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        set_value(text, ("b",), 1)
    with pytest.raises(ConfigInvalid):
        remove(text, ("a",))


@pytest.mark.parametrize("value", ["\0", "\ud800", float("inf"), 10**200])
def test_a_value_that_no_text_can_say_is_refused(value: Json) -> None:
    with pytest.raises(ConfigInvalid):
        set_value("{}", ("a",), value)


TEXT = st.text('{}[]",:/*\\\n\r\t a1e', max_size=25)
NAMES = st.sampled_from(["a", "b", "1", '"', "a.b"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
INNER = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("a,}\n", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def put(value: Json, path: Path, new: Json) -> Json:
    below = value if isinstance(value, dict) else {}
    return {**below, path[0]: put(below.get(path[0]), path[1:], new)} if path else new


@given(st.dictionaries(NAMES, INNER, max_size=3), PATHS, INNER, st.sampled_from([None, 1, "\t"]))
def test_the_result_says_what_was_said_and_the_change(
    value: dict[str, Json], path: Path, new: Json, indent: int | str | None
) -> None:
    text = json.dumps(value, indent=indent)
    with contextlib.suppress(ConfigInvalid):  # a path through an array or a string
        assert jsonc.parse(set_value(text, path, new)) == put(value, path, new)


@given(TEXT, PATHS)
def test_any_text_is_edited_or_refused(text: str, path: Path) -> None:
    with contextlib.suppress(ConfigInvalid):
        jsonc.parse(remove(set_value(text, path, "x"), path))
