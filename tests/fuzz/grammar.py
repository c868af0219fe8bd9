"""Requests to the save route from a seed: legal ones, ones with a rule broken, and mutations.

``cases(seed, count)`` gives the same requests on every machine. Which rule is broken goes round,
so that a run of some hundred cases has them all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from tests.fuzz import valid
from tests.fuzz.broken import RULES
from tests.fuzz.case import Case, Target, body_of
from tests.fuzz.draft import Draft, legal

Json = Any
SURPRISES = (
    "\0", "\x01", "\x1b", "\x7f", "\x85", "\u2028", "\ufeff", "\u202e", "\ufffd", "\U0010ffff",
    "é", "e\u0301", "\u0130", "١", "\\u0000", "\\ud800", "\\", '"', "'", "{", "}", "[", "]", ",",
    ":", "=", "//", "/*", "*/", "#", "\n", "\r", "${", "}", "1e999", "0x", "-", "null", "9" * 40,
)  # fmt: skip


def cases(seed: int, count: int) -> Iterator[Case]:
    """Of ten, four are legal, three break a rule, two have a mutated text, one a mutated or
    broken body."""
    for number in range(count):
        rng = Random(f"{seed}:{number}")  # noqa: S311  # the same cases everywhere
        kind, turn = number % 10, number // 10
        name = f"seed {seed}, case {number}"
        if kind < 4:
            yield _case(rng, name, legal(rng), accepted=True)
        elif kind < 7:
            yield _broken(rng, name, turn * 3 + kind - 4)
        elif kind < 9:
            yield _mutated_text(rng, name)
        else:
            yield _broken_body(rng, name, turn)


def _broken(rng: Random, name: str, turn: int) -> Case:
    rule = RULES[turn % len(RULES)]
    draft = legal(rng)
    rule.apply(rng, draft)
    return _case(rng, f"{name} ({rule.code})", draft, accepted=rule.accepted, code=rule.code)


def _case(
    rng: Random, name: str, draft: Draft, accepted: bool | None = None, code: str = ""
) -> Case:
    target = rng.choice(tuple(Target))
    body = body_of(_fields(rng, draft, target), ascii_only=rng.random() < 0.5)
    return Case(name, target, body, accepted, code)


def _fields(rng: Random, draft: Draft, target: Target) -> dict[str, Json]:
    """What draft has; a crew with texts of its own is told which of them go."""
    texts = draft.texts(rng)
    fields: dict[str, Json] = {
        key: text for key, text in texts.items() if text is not None or target is Target.FULL
    }
    if target is Target.NEW:
        fields |= {
            "name": "".join(c for c in valid.text(rng) if c.isprintable()) + "x",
            "slug": f"s{rng.randrange(10**9)}",
        }
    if rng.random() < 0.2:
        fields["auto_provision"] = rng.choice((True, False))
    order = list(fields)
    rng.shuffle(order)
    return {key: fields[key] for key in order}


def _mutated_text(rng: Random, name: str) -> Case:
    draft = legal(rng)
    target = rng.choice(tuple(Target))
    fields = _fields(rng, draft, target)
    texts = [key for key, text in fields.items() if isinstance(text, str) and key != "slug"]
    if texts:
        key = rng.choice(texts)
        fields[key] = mutated(rng, fields[key])
    return Case(f"{name} (mutated)", target, body_of(fields))


def mutated(rng: Random, text: str) -> str:
    """``text`` after one to three changes: spans deleted, doubled or swapped, something put in."""
    for _ in range(rng.randint(1, 3)):
        text = rng.choice(_MUTATIONS)(rng, text)
    return text


def _span(rng: Random, text: str) -> tuple[int, int]:
    start = rng.randint(0, len(text))
    return start, min(len(text), start + rng.choice((1, 1, 1, 2, 5, 20)))


def _delete(rng: Random, text: str) -> str:
    start, end = _span(rng, text)
    return text[:start] + text[end:]


def _double(rng: Random, text: str) -> str:
    start, end = _span(rng, text)
    return text[:end] + text[start:end] * rng.choice((1, 1, 50)) + text[end:]


def _swap(rng: Random, text: str) -> str:
    (a, b), (c, d) = sorted((_span(rng, text), _span(rng, text)))
    return text if b > c else text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]


def _insert(rng: Random, text: str) -> str:
    at = rng.randint(0, len(text))
    return text[:at] + rng.choice(SURPRISES) + text[at:]


def _replace(rng: Random, text: str) -> str:
    start, end = _span(rng, text)
    return text[:start] + rng.choice(SURPRISES) + text[end:]


_MUTATIONS: tuple[Callable[[Random, str], str], ...] = (_delete, _double, _swap, _insert, _replace)

BAD_FIELDS: tuple[dict[str, Json], ...] = (
    {"name": ""}, {"name": " "}, {"name": None}, {"name": "x" * 101}, {"name": ["x"]},
    {"name": "a\u001bb"}, {"name": "a\u202eb"}, {"name": "a\u200bb"},
    {"slug": ""}, {"slug": "x"}, {"slug": "Ab"}, {"slug": "a b"}, {"slug": "x" * 51},
    {"slug": "status"}, {"slug": "current"}, {"slug": "bare"}, {"slug": None}, {"slug": {}},
    {"slug": "ab\n"}, {"slug": "é\u0301"}, {"slug": "ab\u2028"},
    {"runtime_image": "x" * 513}, {"runtime_image": True}, {"runtime_image": []},
    {"devcontainer_config": {}}, {"devcontainer_config": ["{}"]}, {"devcontainer_config": True},
    {"devcontainer_config": 1}, {"mise_config": {}}, {"mise_config": False}, {"mise_config": 1.5},
    {"lock_config": {}}, {"lock_config": "x"}, {"auto_provision": "x"}, {"auto_provision": None},
    {"auto_provision": []}, {"auto_provision": {}}, {"auto_provision": 2},
)  # fmt: skip
BAD_BODIES = (
    b"[]", b"null", b"1", b'"x"', b"true", b"[{}]", b"{", b"}", b"nul", b"{}{}", b"\xff", b"'{}'",
    b"name=x&slug=xx", b"<x/>", b"\x00", b"{\"a\":1,}", b"// c\n{}", b"{\"a\":\"\n\"}",
)  # fmt: skip


def _broken_body(rng: Random, name: str, turn: int) -> Case:
    """In turn: a wrong field, a body that is no object, a legal body with mutated bytes."""
    kind, turn = turn % 3, turn // 3
    if kind == 0:
        fields = {"name": "x", "slug": "xx", **BAD_FIELDS[turn % len(BAD_FIELDS)]}
        return Case(f"{name} (field)", Target.NEW, body_of(fields), accepted=False)
    if kind == 1:
        body = BAD_BODIES[turn % len(BAD_BODIES)]
        return Case(f"{name} (body)", rng.choice(tuple(Target)), body, accepted=False)
    case = _case(rng, f"{name} (mutated body)", legal(rng))
    text = mutated(rng, case.body.decode()).encode()
    if rng.random() < 0.3:
        at = rng.randint(0, len(text))
        text = text[:at] + bytes([rng.randrange(256)]) + text[at:]
    return Case(case.name, case.target, text)


def described(case: Case) -> str:
    """The case for a person: where it came from, and its body as JSON or as bytes."""
    try:
        body = json.dumps(json.loads(case.body), ensure_ascii=True, indent=1)
    except (ValueError, RecursionError):
        body = repr(case.body)
    return f"{case}\n{body[:4000]}"
