from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewship.devcontainer import jsonc
from crewship.devcontainer.types import Json
from crewship.domain.errors import ConfigInvalid, Problem
from tests.devcontainer.examples import load_cases, spec_of

CASES = load_cases("jsonc")


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        jsonc.parse(text)
    return caught.value.problems


@pytest.mark.parametrize(
    "case", [c for c in CASES if c["ours"] != "error"], ids=lambda c: c["name"]
)
def test_accepted_case_warns_as_it_says(case: Json) -> None:
    assert bool(spec_of(case["text"]).warnings) == (case["ours"] == "ok with warning")


@pytest.mark.parametrize(
    "case", [c for c in CASES if c["ours"] == "error"], ids=lambda c: c["name"]
)
def test_refused_case_has_a_place(case: Json) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        spec_of(case["text"])
    assert all(problem.path or problem.line for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ("{", 1, 2),
        ('{"a": 1,, }', 1, 9),
        ("[,]", 1, 2),
        ("{,}", 1, 2),
        ("[1 2]", 1, 4),
        ('{\n  "a": tru\n}', 2, 8),
        ("\ufeff{\r\n\r\n x}", 3, 2),
        ('{"a": NaN}', 1, 7),
        ('{"a": -Infinity}', 1, 7),
        ('{"a": Infinity}', 1, 7),
        ("[1e999]", 1, 2),
        ("[01]", 1, 3),
        ("[+1]", 1, 2),
        ("[.5]", 1, 2),
        ("[1.]", 1, 3),
        ('["\\x"]', 1, 3),
        ('["\\ud800"]', 1, 3),
        ('["\\udc00\\ud800"]', 1, 3),
        ('["\ud800"]', 1, 3),
        ('["\\u0000"]', 1, 3),
        ('["\0"]', 1, 3),
        ('["a\nb"]', 1, 4),
        ('["a', 1, 2),
        ("[1] [2]", 1, 5),
        ("/* a", 1, 1),
        ("{} /", 1, 4),
        ("\N{NO-BREAK SPACE}{}", 1, 1),
        ("# x\n{}", 1, 1),
    ],
)
def test_broken_text_is_refused_at_its_place(text: str, line: int, column: int) -> None:
    problem = problems_of(text)[0]
    assert (problem.code, problem.line, problem.column) == ("syntax", line, column)


def test_every_duplicate_key_is_reported_with_path_and_place() -> None:
    found = problems_of('{"a": 1,\n "b": {"c": 1, "c": 2},\n "a": 3}')
    assert [(p.code, p.path, p.line, p.column) for p in found] == [
        ("duplicate_key", "b.c", 2, 16),
        ("duplicate_key", "a", 3, 2),
    ]


def test_escaped_spelling_of_a_key_is_the_same_key() -> None:
    assert problems_of('{"a": 1, "\\u0061": 2}')[0].code == "duplicate_key"


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_deep_nesting_is_refused_without_recursion(opening: str) -> None:
    assert problems_of(opening * 50_000)[0].code == "too_deep"


def test_nesting_up_to_the_limit_is_read() -> None:
    assert jsonc.parse("[" * 100 + "]" * 100)


def test_number_of_thousands_of_digits_is_refused() -> None:
    assert problems_of("[" + "9" * 5000 + "]")[0].code == "syntax"


def test_whole_number_is_an_int_however_it_is_written() -> None:
    assert jsonc.parse("[1.0, 1e2, -0.0, 2.5]") == [1, 100, 0, 2.5]


def test_surrogate_pair_is_one_character() -> None:
    assert jsonc.parse('"\\ud83d\\ude80"') == "\N{ROCKET}"


def test_keys_keep_the_order_of_the_text() -> None:
    assert list(jsonc.parse('{"z": 1, "a": 2, "m": 3}')) == ["z", "a", "m"]


def test_comment_signs_inside_strings_are_text() -> None:
    assert jsonc.parse('["// a", "/* b */"] // c') == ["// a", "/* b */"]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


@given(JSON, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_all_json_is_read_as_json_reads_it(
    value: Json, indent: int | str | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert jsonc.parse(text) == value


@given(st.text(alphabet='{}[]",:/*\\nu0 1eE.-\n\ud800"a', max_size=30))
def test_any_text_is_a_value_or_a_typed_error(text: str) -> None:
    with contextlib.suppress(ConfigInvalid):  # anything else fails the test
        json.dumps(jsonc.parse(text), allow_nan=False).encode()
