"""Requests that are part of every run, whatever its seed: sizes, depths and bytes that break
readers, each with its right answer."""

# ruff: noqa: E501, UP031  # a table: one case a line; braces are what the texts are made of
from __future__ import annotations

import json

from tests.fuzz.case import Case, Target, body_of

KB = 1024
DEPTH = 100_000
OURS = "ghcr.io/crewship-ai/features"
LONG = "k" * 50_000


def config(name: str, text: str, code: str = "", accepted: bool = False) -> Case:
    return Case(name, Target.BARE, body_of({"devcontainer_config": text}), accepted, code)


def mise(name: str, text: str, code: str = "", accepted: bool = False) -> Case:
    return Case(name, Target.BARE, body_of({"mise_config": text}), accepted, code)


def lock(name: str, text: str, code: str = "", accepted: bool = False) -> Case:
    fields = {"devcontainer_config": "{}", "lock_config": text}
    return Case(name, Target.BARE, body_of(fields), accepted, code)


def raw(name: str, body: bytes, code: str = "malformed_json") -> Case:
    return Case(name, Target.NEW, body, False, code)


def _members(count: int, member: str) -> str:
    return ",".join(member.replace("#", f"{n:04}") for n in range(count))


def _padded(text: str, size: int) -> str:
    return text + " " * (size - len(text))


FIELDS = ("name", "slug", "runtime_image", "devcontainer_config", "mise_config", "lock_config")

BYTES = (
    *(
        Case(f"NUL in {field}", Target.NEW,
             body_of({"name": "x", "slug": "xx", field: "{}\0"}), False, "null_characters_not_allowed")
        for field in FIELDS
    ),
    *(
        raw(f"half a pair in {field}", b'{"name": "x", "slug": "xx", "%s": "\\ud800"}' % field.encode())
        for field in FIELDS
    ),
    raw("half a pair as a key", b'{"name": "x", "slug": "xx", "\\udfff": 1}'),
    raw("NUL byte", b'{"name": "x\0", "slug": "xx"}'),
    raw("half a pair as bytes", b'{"name": "\xed\xa0\x80", "slug": "xx"}'),
    raw("Latin 1", b'{"name": "gr\xf6\xdfe", "slug": "xx"}'),
    raw("UTF-16", '{"name": "x", "slug": "xx"}'.encode("utf-16")),
    raw("BOM", b'\xef\xbb\xbf{"name": "x", "slug": "xx"}'),
    config("escaped NUL in the text", '{"name": "\\u0000"}', "syntax"),
    config("half a pair in the text", '{"name": "\\ud800"}', "syntax"),
    config("half a pair as a key in the text", '{"\\udc00": 1}', "syntax"),
    mise("escaped NUL in mise.toml", '[env]\nA = "\\u0000"', "wrong_type"),
    mise("half a pair in mise.toml", '[env]\nA = "\\ud800"', "syntax"),
    mise("half a pair in mise.json", '{"env": {"A": "\\ud800"}}', "syntax"),
    lock("escaped NUL in the lock", '{"features": "\\u0000"}', "syntax"),
)  # fmt: skip

NUMBERS = (
    raw("1e999 in the body", b'{"name": 1e999, "slug": "xx"}'),
    raw("NaN in the body", b'{"name": NaN, "slug": "xx"}'),
    raw("5,000 digits in the body", b'{"name": %s, "slug": "xx"}' % (b"1" * 5000)),
    raw("a long fraction in the body", b'{"name": "x", "slug": "x", "auto_provision": 0.%s}' % (b"1" * 100_000), ""),
    config("1e999 in the text", '{"init": 1e999}', "syntax"),
    config("100,000 digits in the text", '{"init": ' + "1" * 100_000 + "}", "syntax"),
    config("a long exponent in the text", '{"init": 1e' + "0" * 100_000 + "}", "syntax"),
    mise("1e999 in mise.toml", "[tools]\nnode = 1e999", "mise_version_invalid"),
    mise("5,000 digits in mise.toml", "[tools]\nnode = " + "1" * 5000, "syntax"),
    mise("5,000 hex digits as a version", "[tools]\nnode = 0x" + "f" * 5000, "wrong_type"),
    mise("5,000 hex digits as a variable", "[env]\nA = 0x" + "f" * 5000, "wrong_type"),
    mise("5,000 hex digits in a list", "[tools]\nnode = [1, 0x" + "f" * 5000 + "]", "wrong_type"),
    mise("9,000 binary digits", "[tools]\nnode = 0b" + "1" * 9000, "wrong_type"),
)  # fmt: skip

DEPTHS = (
    raw("arrays 100,000 deep", b"[" * DEPTH + b"]" * DEPTH),
    raw("objects 100,000 deep", b'{"a":' * DEPTH + b"1" + b"}" * DEPTH),
    raw("a field 100,000 deep", b'{"name": "x", "slug": "xx", "devcontainer_config": ' + b"[" * DEPTH + b"]" * DEPTH + b"}"),
    config("arrays 100,000 deep in the text", "[" * DEPTH, "too_deep"),
    config("closed arrays 50,000 deep in the text", "[" * 50_000 + "]" * 50_000, "too_deep"),
    config("objects 20,000 deep in the text", '{"":' * 20_000, "too_deep"),
    config("deep at line 50,001", "\n" * 50_000 + "[" * 50_000, "too_deep"),
    config("just not too deep", '{"customizations": ' + "[" * 99 + "]" * 99 + "}", accepted=True),
    mise("arrays 10,000 deep in mise.json", '{"a":' + "[" * 10_000, "too_deep"),
    mise("arrays 10,000 deep in mise.toml", "a = " + "[" * 10_000, "too_deep"),
    mise("tables 3,000 deep in mise.toml", "a = " + "{a=" * 3000, "too_deep"),
    lock("arrays 100,000 deep in the lock", '{"features":' + "[" * DEPTH, "too_deep"),
)  # fmt: skip

SIZES = (
    config("exactly 100 KB", _padded('{"image": "debian"}', 100 * KB), accepted=True),
    config("100 KB and 1 byte", _padded('{"image": "debian"}', 100 * KB + 1), "too_large"),
    config("100 KB of ä", '{"name": "' + "ä" * (50 * KB - 6) + '"}', accepted=True),
    config("more than 100 KB of ä", '{"name": "' + "ä" * (50 * KB - 5) + '"}', "too_large"),
    config("2 MB", _padded("{}", 1_900_000), "too_large"),
    config(
        "a value of exactly 32 kB",
        '{"containerEnv": {"A": "' + "x" * 32 * KB + '"}}',
        accepted=True,
    ),
    config(
        "values of exactly 64 kB",
        '{"containerEnv": {"A": "%s", "B": "%s"}}' % (("x" * 32 * KB,) * 2),
        accepted=True,
    ),
    config(
        "a command of exactly 4,096", '{"postStartCommand": "' + "ä" * 4096 + '"}', accepted=True
    ),
    config("a command of 4,097", '{"postStartCommand": "' + "ä" * 4097 + '"}', "hook_too_long"),
    config(
        "exactly 32 variables", '{"containerEnv": {%s}}' % _members(32, '"A#":""'), accepted=True
    ),
    config(
        "exactly 50 features",
        '{"features": {%s}}' % _members(50, f'"{OURS}/f#":true'),
        accepted=True,
    ),
    mise("exactly 32 tools", '{"tools": {%s}}' % _members(32, '"t#":"1"'), accepted=True),
    mise("exactly 10 KB", _padded('{"tools": {"node": "22"}}', 10 * KB), accepted=True),
    mise("10 KB and 1 byte", _padded('{"tools": {"node": "22"}}', 10 * KB + 1), "too_large"),
    mise("exactly 10 KB of TOML", _padded("[tools]\n", 10 * KB), accepted=True),
    mise("10 KB and 1 byte of TOML", _padded("[tools]\n", 10 * KB + 1), "too_large"),
    lock("a lock of exactly 100 KB", _padded("{}", 100 * KB), accepted=True),
    lock("a lock of 100 KB and 1 byte", _padded("{}", 100 * KB + 1), "too_large"),
)

COUNTS = (
    config("10,000 features", '{"features": {%s}}' % _members(10_000, f'"{OURS}/f#:1": true'), "too_large"),
    config("10,000 short features", '{"features": {%s}}' % _members(10_000, '"#":{}'), "too_many_features"),
    config("10,000 keys", "{%s}" % _members(10_000, '"#":1'), "key_ignored", accepted=True),
    config("10,000 variables", '{"containerEnv": {%s}}' % _members(10_000, '"#":1'), "env_too_many"),
    config("10,000 commands", '{"postStartCommand": {%s}}' % _members(9_000, '"#":"x"'), "hook_too_many"),
    config("50,000 mounts", '{"mounts": [%s]}' % ",".join("1" * 50_000), "wrong_type"),
    config("50,000 empty capabilities", '{"capAdd": [%s]}' % ",".join(['""'] * 30_000), "cap_add_refused"),
    mise("1,000 tools", '{"tools": {%s}}' % _members(900, '"t#":1'), "mise_too_many_tools"),
    mise("2,000 versions", '{"tools": {"node": [%s]}}' % _members(1400, '"#"'), accepted=True),
    lock("a lock of 5,000 entries", '{"features": {%s}}' % _members(8_000, '"#":1'), "lock_unused", accepted=True),
    raw("a key twice in the body", b'{"name": "x", "name": "y", "slug": "xx"}'),
    config("a key twice in the text", '{"init": true, "init": false}', "duplicate_key"),
    config("a key 20,000 times", "{%s}" % ",".join(['"":1'] * 20_000), "duplicate_key"),
    mise("a key twice in mise.toml", "[tools]\nnode = 1\nnode = 2", "syntax"),
)  # fmt: skip

# A short text whose answer names one long path again and again.
ECHOES = (
    config("8,000 duplicates below a long key", '{"%s": {%s}}' % (LONG, ",".join(['"a":1'] * 8000)), "duplicate_key"),
    config("4,500 options of a long feature", '{"features": {"%s": {%s}}}' % (LONG, _members(4500, '"#":[]')), "option_invalid"),
    config("8,000 unknowns in a variable of a long name", '{"containerEnv": {"%s": "%s"}}' % (LONG, "${x}" * 8000), "unknown_variable", accepted=True),
    config("8,000 local ones in an argument of a long name", '{"postStartCommand": {"%s": [%s]}}' % (LONG, ",".join(['"${env:x}"'] * 450)), "local_env", accepted=True),
    config("8,000 local ones in options", '{"features": {"%s/x": {"%s": "%s"}}}' % (OURS, LONG, "${env:x}" * 6000), "local_env", accepted=True),
    config("2,000 tools below a long key", '{"mise": {"tools": {"%s": [%s]}}}' % (LONG, ",".join(["[]"] * 15_000)), "wrong_type"),
    mise("1,000 wrong versions of a long tool", '{"tools": {"%s": [%s]}}' % ("k" * 5000, ",".join(["[]"] * 1700)), "wrong_type"),
    lock("a long entry", json.dumps({"features": {LONG + "é": {}, f"{OURS}/{LONG}": 1}}), "lock_unused", accepted=True),
)  # fmt: skip

# What takes time that grows faster than the text in a careless reader.
BOMBS = (
    mise("a dotted key 5,000 deep", "a" + ".a" * 5000 + " = 1", "key_ignored", accepted=True),
    mise("a tool 5,000 deep", "tools" + ".a" * 5000 + " = 1", "wrong_type"),
    mise("ever deeper headers", "".join(f"[a{'.a' * n}]\nb=1\n" for n in range(95)), accepted=True),
    mise("2,500 tables of an array", "[[a]]\n" * 1700, accepted=True),
    mise("a long array", "a = [" + "1," * 5000 + "]", accepted=True),
    mise("a long array of arrays", "a = [" + "[]," * 3400 + "]", accepted=True),
    mise("a long inline table", "a = {" + _members(1000, "a#=1") + "}", accepted=True),
    mise("a string without end", 'a = "' + "\\n" * 5000, "syntax"),
    mise("digits with underscores", "a = 1" + "_1" * 5000, "syntax"),
    config("a comment without end", "/*" * 50_000, "syntax"),
    config("50,000 comments", "/**/" * 25_000 + "{}", accepted=True),
    config("100,000 braces of a variable", '{"postStartCommand": "' + "${" * 2048 + '"}', accepted=True),
    config("32 kB of ${", '{"containerEnv": {"A": "' + "${" * 16_000 + '"}}', accepted=True),
    config("32 kB of eyJ", '{"containerEnv": {"A": "' + "eyJ" * 10_000 + '"}}', accepted=True),
    config("32 kB of ://", '{"containerEnv": {"A": "' + "://a:" * 6_000 + '"}}', accepted=True),
    config("32 kB of BEGIN", '{"containerEnv": {"A": "' + "-----BEGIN " * 2_900 + '"}}', accepted=True),
    config("a name of underscores", '{"containerEnv": {"' + "_" * 90_000 + '": ""}}', accepted=True),
    config("an image of hyphens", '{"image": "a' + "-" * 510 + '"}', "image_invalid"),
    config("an image of dots", '{"image": "' + "a." * 255 + '/x"}', "image_invalid"),
    mise("a tool of hyphens", '{"tools": {"' + "a-" * 4000 + ':": "1"}}', "mise_tool_invalid"),
)  # fmt: skip

HOSTILE: tuple[Case, ...] = (*BYTES, *NUMBERS, *DEPTHS, *SIZES, *COUNTS, *ECHOES, *BOMBS)
