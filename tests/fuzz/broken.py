"""Every rule of "What a devcontainer config may say" (CONTRACT.md), broken or warned about.

A rule names the code that the answer must have among its errors (or its warnings), and does to a
legal draft what brings that about.
"""

# ruff: noqa: E501  # a table: one case a line
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.fuzz import valid
from tests.fuzz.draft import Draft

Json = Any
Break = Callable[[Random, Draft], None]


@dataclass(frozen=True)
class Rule:
    code: str
    apply: Break
    accepted: bool = False  # a warning


def key(code: str, name: str, *values: Json, accepted: bool = False) -> Rule:
    """The config has one of ``values`` (or of what they make) under ``name``."""

    def apply(rng: Random, draft: Draft) -> None:
        value = rng.choice(values)
        draft.config = {**(draft.config or {}), name: value(rng) if callable(value) else value}

    return Rule(code, apply, accepted)


def entry(code: str, name: str, *entries: Json, accepted: bool = False) -> Rule:
    """One of ``entries`` (each a dict of one) stands beside the legal ones of the object."""

    def apply(rng: Random, draft: Draft) -> None:
        given = rng.choice(entries)
        made = given(rng) if callable(given) else given
        config = draft.config or {}
        held = config.get(name)
        draft.config = {**config, name: {**(held if isinstance(held, dict) else {}), **made}}

    return Rule(code, apply, accepted)


def mise(code: str, part: str, *values: Json, accepted: bool = False) -> Rule:
    """The mise config (the crew's, or that in the devcontainer config) has a broken part."""

    def apply(rng: Random, draft: Draft) -> None:
        value = rng.choice(values)
        made = value(rng) if callable(value) else value
        config = draft.config or {}
        held = config.get("mise") or draft.mise or {}
        old: Json = held.get(part)
        both = isinstance(old, dict) and isinstance(made, dict)
        whole = {**held, part: {**old, **made} if both else made}
        if "mise" in config:
            draft.config = {**config, "mise": whole}
        else:
            draft.mise = whole

    return Rule(code, apply, accepted)


def text(code: str, *texts: str) -> Rule:
    """The text as a whole is one of these; the lock is JSON too, and so is mise's."""

    def apply(rng: Random, draft: Draft) -> None:
        made = rng.choice(texts)
        place = rng.choice(("config_text", "config_text", "mise_text", "lock_text"))
        if place == "mise_text" and made[:1] != "{":
            place = "config_text"
        if place == "lock_text" and draft.config is None:
            draft.config = {}
        setattr(draft, place, made)

    return Rule(code, apply)


def toml(code: str, *texts: str) -> Rule:
    def apply(rng: Random, draft: Draft) -> None:
        draft.config = {k: v for k, v in (draft.config or {}).items() if k != "mise"}
        draft.mise_text = rng.choice(texts)

    return Rule(code, apply)


def locked(code: str, entries: Callable[[Random], Json], accepted: bool = False) -> Rule:
    def apply(rng: Random, draft: Draft) -> None:
        draft.config = draft.config or {}
        draft.lock = {"features": entries(rng)}

    return Rule(code, apply, accepted)


def runtime_image(code: str, *names: str) -> Rule:
    def apply(rng: Random, draft: Draft) -> None:
        draft.runtime_image = rng.choice(names)

    return Rule(code, apply)


def _mise_twice(rng: Random, draft: Draft) -> None:
    draft.config = {**(draft.config or {}), "mise": valid.mise(rng)}
    draft.mise = {"tools": {"node": "22"}}


def _many(make: Callable[[int], tuple[str, Json]], count: int) -> Callable[[Random], Json]:
    return lambda rng: dict(make(n) for n in range(count + rng.randint(0, 5)))


def _ref(rng: Random) -> str:
    return f"{OURS}/x{rng.choice(('', ':1', ':1.2'))}"


def _lock_entry(**changes: Json) -> Callable[[Random], Json]:
    return lambda rng: {_ref(rng): {**valid.lock_entry(rng, f"{OURS}/x"),
                                    **changes}}  # fmt: skip


def _options(*values: Json) -> list[Json]:
    return [{f"{OURS}/x": value} for value in values]


OURS = "ghcr.io/crewship-ai/features"
D, E = "sha256:" + "d" * 64, "sha256:" + "e" * 64
BAD_IMAGES = (
    "", " ", "Debian", "debian:", "debian: sid", "debian@sha256:1", "a" * 513, "x/" * 130 + "y",
    "f" * 64, "scratch", "debian:sid:1", "http://debian", "/debian", "debian/", "größe", "a\nb",
    "ghcr.io:99999/a", "debian:" + "t" * 129, "${unknown}",
)  # fmt: skip
STRANGE_IMAGES = (
    "10.0.0.1/x", "127.0.0.1:5000/x", "[::1]:5000/x", "localhost/x", "localhost:5000/x", "host:1/x",
    "evil.example/x", "ghcr.io.evil.example/x", "crewship-cache:0123456789ab", "crewship-layer",
    "docker.io/library/crewship-cache", "2130706433:80/x", "0x7f.1/x", "GHCR.IO.x/a",
)  # fmt: skip
BAD_REFS = (
    "", "node", "./local", "../up", "/abs", "https://ghcr.io/a/b", "ghcr.io/x", "ghcr.io//x/y",
    "ghcr.io/a/b:", "ghcr.io/a/b:1@" + D, "ghcr.io/a/b@sha256:12", "ghcr.io/a/b c:1", "a/b/c",
    "ghcr.io/größe/x", "\u212aghcr.io/a/b", "ghcr.io/a/" + "b" * 600, "ghcr.io/a/../b", "\x01",
)  # fmt: skip
EVIL_REFS = (
    "ghcr.io/evil/features/x:1", "ghcr.io/devcontainers/features-x/y", "ghcr.io/devcontainers/x",
    "ghcr.io.evil.example/devcontainers/features/x", "evil.example/devcontainers/features/x",
    "127.0.0.1:80/a/b", "[::1]/a/b", "localhost/a/b",
)  # fmt: skip

RULES: tuple[Rule, ...] = (
    text("syntax", " ", "//", "{", "}", '{"a"', '{"a" 1}', '{"a":}', "{'a':1}", "{a:1}", "{,}"),
    text("syntax", '{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":1.}', '{"a":NaN}', '{"a":Infinity}'),
    text("syntax", '{"a":1e999}', '{"a":-1e999}', '{"a":' + "1" * 101 + "}", '{"a":-}', '{"a":tru}'),
    text("syntax", '{"a":"\n"}', '{"a":"\x01"}', '{"a":"\\x"}', '{"a":"\\u12"}', '{"a":"'),
    text("syntax", '{"a":"\\u0000"}', '{"a":"\\ud800"}', '{"a":"\\udc00\\ud800"}', '{"\\ud8ff":1}'),
    text("syntax", '{"a":1} x', '{"a":1}}', '{"a":[1,,2]}', "{ /* open", "{\u00a0}", "{}\ufeff"),
    text("too_deep", '{"a":' * 101, '{"a":' + "[" * 100, '{"a":' * 500 + "1" + "}" * 500),
    text("duplicate_key", '{"a":1,"a":1}', '{"a":{"b":1,"\\u0062":2}}', '{"":1,\n"":2,"":3}'),
    text("wrong_type", "[]", "null", "1", '"{}"', "true", "[{}]"),
    text("too_large", "{}" + " " * 100 * 1024, '{"name":"' + "ä" * 52_000 + '"}'),
    *(key("wrong_type", name, 1, "x", True) for name in ("features", "mounts", "mise")),
    *(key("wrong_type", name, 1, "x", True, []) for name in ("containerEnv", "remoteEnv")),
    *(key("wrong_type", name, 1, True, {}, []) for name in ("image", "name", "remoteUser", "containerUser")),
    *(key("wrong_type", name, 1, "x", {}, [1], [None]) for name in ("capAdd", "securityOpt", "overrideFeatureInstallOrder")),
    *(key("wrong_type", name, 1, "true", [], {}) for name in ("init", "privileged")),
    *(key("wrong_type", name, 1, True, ["x", 1], {"a": 1}, {"a": {"b": "c"}}) for name in valid.HOOKS),
    key("wrong_type", "mounts", [1], [None], [[]], ["source=v,target=/v", 1], [{"source": 1}]),
    entry("wrong_type", "containerEnv", {"A": 1}, {"A": None}, {"A": ["x"]}, {"A": True}),
    *(key("build_refused", name, {}, None, "D", 1) for name in ("build", "dockerFile", "dockerComposeFile")),
    key("image_invalid", "image", *BAD_IMAGES),
    key("image_not_allowed", "image", *STRANGE_IMAGES),
    runtime_image("image_invalid", *(name for name in BAD_IMAGES if name.strip() and len(name) < 513)),
    runtime_image("image_not_allowed", *STRANGE_IMAGES),
    key("too_many_features", "features", _many(lambda n: (f"{OURS}/f{n}:1", {}), 51)),
    entry("invalid_ref", "features", *({ref: {}} for ref in BAD_REFS)),
    key("invalid_ref", "overrideFeatureInstallOrder", *([ref] for ref in BAD_REFS)),
    entry("publisher_not_allowed", "features", *({ref: {}} for ref in EVIL_REFS)),
    entry("option_invalid", "features", *_options(None, False, 1, [], [1])),
    entry("option_invalid", "features", *_options({"a": None}, {"a": []}, {"a": {}}, {"a": [1]})),
    *(key("hook_invalid", name, [], [""], ["", "x"], {"a": []}) for name in valid.HOOKS),
    *(key("hook_too_long", name, "x" * 4097, ["x", "y" * 4096], {"a": "ä" * 4097}) for name in valid.HOOKS),
    *(key("hook_too_many", name, _many(lambda n: (f"{n}", "true"), 65)) for name in valid.HOOKS),
    *(key("env_too_many", name, _many(lambda n: (f"A{n}", ""), 33)) for name in ("containerEnv", "remoteEnv")),
    *(entry("env_name_invalid", name, *({bad: "x"} for bad in ("", "1A", "A-B", "A B", "Ä", "A=B", "A\n", "A.B"))) for name in ("containerEnv", "remoteEnv")),
    *(entry("env_value_too_large", name, {"A": "x" * (32 * 1024 + 1)}, {"A": "x" * 16_384 + "ä" * 8_193}) for name in ("containerEnv", "remoteEnv")),
    *(key("env_too_large", name, {"A": "x" * 32_000, "B": "y" * 32_000, "C": "z" * 2_000}) for name in ("containerEnv", "remoteEnv")),
    key("host_mount_refused", "mounts", ["type=bind,source=/,target=/x"], [{"source": "/etc", "target": "/x"}], ["source=./a,target=/x"], ["source=~/a,target=/x"], ["source=${localWorkspaceFolder},target=/x"]),
    key("docker_socket_refused", "mounts", ["source=/var/run/docker.sock,target=/x"], [{"source": "v", "target": "/run/docker.sock", "type": "volume"}]),
    key("mount_invalid", "mounts", [""], ["source=v"], ["target=/x"], ["source=v,target=x"], ["source=v,target=/"], ["source=v,target=/a/../b"], ["source=v,target=/x,type=tmpfs"], ["source=v,target=/x,volume-opt=device=/"], [{"source": "a b", "target": "/x"}], ["source=v,target=/x"] * 2),
    key("privileged_refused", "privileged", True),
    key("security_opt_refused", "securityOpt", ["seccomp=unconfined"], [""]),
    key("cap_add_refused", "capAdd", ["SYS_ADMIN"], ["CAP_SYS_PTRACE"], ["all"], [""], ["NET_BIND_SERVICE", "ß"]),
    Rule("mise_twice", _mise_twice),
    mise("wrong_type", "tools", [], "x", 1, {"node": True}, {"node": {"a": 1}}, {"node": [[]]}),
    mise("wrong_type", "env", [], "x", 1, {"A": True}, {"A": 1.5}, {"A": ["x"]}, {"A": {}}),
    mise("mise_too_many_tools", "tools", _many(lambda n: (f"t{n}", "1"), 33)),
    mise("mise_tool_invalid", "tools", *({bad: "1"} for bad in ("", "-x", "a b", "npm:", "größe", "a;b", "a\n", "NPM:x", "x" * 201, "npm:a[", "$(id)"))),
    mise("mise_version_invalid", "tools", *({"node": bad} for bad in ([], 1.5, "1 2", "-1", "1;id", "$(id)", "v" * 129, "größe", "1\n", ["1", """ """], "nope:1"))),
    mise("env_name_invalid", "env", *({bad: "x"} for bad in ("", "_", "1A", "A-B", "A B", "Ä"))),
    toml("syntax", "x", "= 1", "[a", "a = ", "a = 1\na = 2", '[tools]\n"node" 1', "a = 0xg", "a = 1979-13-40"),
    toml("syntax", "[tools]\nnode = 'x", "a = \"\\ud800\"", "a = 'x\x01'", "a = " + "1" * 5000, "\ufeff\ufeffa = 1"),
    toml("too_deep", "a = " + "[" * 5000, "a = " + "{a=" * 3000),
    toml("wrong_type", "tools" + ".a" * 5000 + " = 1", "tools = 1", "[tools]\nnode = 1979-05-27", "[env]\nA = \"\\u0000\"", "[env]\nA = nan", "[env._]\nfile = 1\n[[tools]]"),
    toml("too_large", "#" * (10 * 1024 + 1), "a = [" + "1," * 5200 + "]"),
    toml("mise_version_invalid", "[tools]\nnode = 3.10", "[tools]\nnode = inf", "[tools]\nnode = [1e999]"),
    locked("wrong_type", lambda rng: rng.choice(([], "x", {_ref(rng): 1}, {_ref(rng): {}}))),
    locked("lock_invalid", _lock_entry(resolved="node")),
    locked("lock_invalid", lambda rng: {f"{OURS}/x{tag}": valid.lock_entry(rng, f"{OURS}/x") for tag in ("", ":latest")}),
    locked("lock_resource", _lock_entry(resolved=f"{OURS}/other@{D}", integrity=D)),
    locked("lock_integrity", _lock_entry(integrity=E)),
    locked("lock_integrity", lambda rng: {f"{OURS}/x@{E}": {"resolved": f"{OURS}/x@{D}", "integrity": D}}),
    # Legal, but not as it looks.
    key("key_ignored", "forwardPorts", valid.value, accepted=True),
    key("local_env", "image", "${localEnv:X:debian}", accepted=True),
    key("local_env", "containerEnv", {"A": "${env:X:y}"}, {"A": "${localEnv:X}"}, accepted=True),
    key("unknown_variable", "containerEnv", {"A": "${x}"}, {"A": "${}"}, accepted=True),
    key("secret_in_env", "containerEnv", {"API_TOKEN": "x" * 8}, {"A": "ghp_" + "x" * 36}, {"A": "eyJ" * 5000 + "sk-" + "x" * 16}, accepted=True),
    mise("secret_in_env", "env", {"DB_PASSWORD": "x" * 8}, accepted=True),
    mise("unknown_variable", "env", {"A": "{{ env.HOME }}"}, accepted=True),
    key("user_ignored", "remoteUser", "root", "vscode", "0", accepted=True),
    locked("lock_unused", lambda rng: {"./local": 1, **{f"{OURS}/unused:9": valid.lock_entry(rng, f"{OURS}/unused")}}, accepted=True),
)  # fmt: skip
