"""Values as texts: JSONC with everything it allows around the values, and TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from random import Random
from typing import Any

Json = Any

_SPACES = ("", "", "", " ", "\n", "\r\n", "\t", "  ")
_COMMENTS = ("// a } \" ' comment\n", '/* a { [ " */', "//\r\n", "/***/", "// größe 🚢\n")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_json(rng: Random, value: Json) -> str:
    """JSON or JSONC that reads as ``value``: half of the time plain, else with comments, trailing
    commas, odd escapes and a BOM."""
    if rng.random() < 0.5:
        return json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 2)))
    bom = "\ufeff" if rng.random() < 0.2 else ""
    return f"{bom}{_gap(rng)}{_jsonc(rng, value)}{_gap(rng)}"


def _gap(rng: Random) -> str:
    comment = rng.choice(_COMMENTS) if rng.random() < 0.1 else ""
    return rng.choice(_SPACES) + comment + rng.choice(_SPACES)


def _jsonc(rng: Random, value: Json) -> str:
    if isinstance(value, dict):
        items = [
            f"{_string(rng, name)}{_gap(rng)}:{_gap(rng)}{_jsonc(rng, item)}"
            for name, item in value.items()
        ]
        return "{" + _list(rng, items) + "}"
    if isinstance(value, list):
        return "[" + _list(rng, [_jsonc(rng, item) for item in value]) + "]"
    if isinstance(value, str):
        return _string(rng, value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return rng.choice((f"{value}", f"{value}.0", f"{value}e0", f"{value}E+0"))
    return json.dumps(value)


def _list(rng: Random, items: list[str]) -> str:
    body = "".join(f"{_gap(rng)}{item}{_gap(rng)}," for item in items)
    return body if rng.random() < 0.3 else body.removesuffix(",")


def _string(rng: Random, text: str) -> str:
    written = json.dumps(text, ensure_ascii=rng.random() < 0.5)
    if len(text) < 50 and text.isascii() and text.isalnum() and rng.random() < 0.1:
        written = '"' + "".join(f"\\u{ord(char):04X}" for char in text) + '"'
    return written


def to_toml(rng: Random, config: Mapping[str, Mapping[str, Json]]) -> str:
    """A mise.toml that reads as ``config``, whose values are tables."""
    lines = [rng.choice(("# mise", "# größe 🚢", ""))]
    whole = [name for name in config if rng.random() < 0.3]
    for name in whole:  # before the tables: what follows a [header] belongs to it
        entries = list(config[name].items())
        if rng.random() < 0.5:
            lines.append(f"{name} = {_inline(rng, dict(entries))}")
        else:
            lines += [f"{name}.{_key(key)} = {_inline(rng, value)}" for key, value in entries]
    for name in config:
        if name not in whole:
            lines.append(f"[{name}]{rng.choice(('', ' # tools'))}")
            lines += [f"{_key(k)} = {_inline(rng, v)}" for k, v in config[name].items()]
    if not any(lines):  # tables without entries may leave nothing, which is no mise.toml
        lines = ["#"]
    bom = "\ufeff" if rng.random() < 0.1 else ""
    return bom + rng.choice(("\n", "\r\n")).join(lines) + "\n"


def _inline(rng: Random, value: Json) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_inline(rng, v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + rng.choice((", ", ",\n  ")).join(_inline(rng, item) for item in value) + "]"
    if isinstance(value, bool) or not isinstance(value, str):
        return json.dumps(value)
    if rng.random() < 0.3 and value.isprintable() and "'" not in value:
        return f"'{value}'"
    return _basic(value)


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _basic(name)


def _basic(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
