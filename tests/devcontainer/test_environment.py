from __future__ import annotations

import pytest

from crewship.devcontainer.environment import (
    DEFAULT_PATH,
    apply_env,
    expand_env,
    expand_feature_env,
    extend_path,
    read_env,
)
from crewship.devcontainer.findings import Findings
from crewship.devcontainer.types import Json
from crewship.domain.errors import EnvTooLarge

ENV = {"PATH": "/usr/bin:/bin", "A": "one", "B": "${containerEnv:A}", "EMPTY": ""}


def codes(value: Json) -> list[str]:
    findings = Findings()
    read_env(value, "containerEnv", findings)
    return [f"{p.code} {p.path}" for p in findings.problems]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], ["wrong_type containerEnv"]),
        ({"A": 1}, ["wrong_type containerEnv.A"]),
        ({"A-B": "x"}, ["env_name_invalid containerEnv.A-B"]),
        ({"A\n": "x"}, ["env_name_invalid containerEnv.A\n"]),
        ({"": "x"}, ["env_name_invalid containerEnv."]),
        ({"\N{LATIN SMALL LETTER E WITH ACUTE}": "x"}, ["env_name_invalid containerEnv.é"]),
        ({"A": "x" * 32769}, ["env_value_too_large containerEnv.A"]),
        ({"A": "é" * 16385}, ["env_value_too_large containerEnv.A"]),
        (dict.fromkeys("ABC", "x" * 30000), ["env_too_large containerEnv"]),
        ({f"A{n}": "" for n in range(33)}, ["env_too_many containerEnv"]),
    ],
)
def test_entry_that_breaks_a_rule_is_a_problem(value: Json, expected: list[str]) -> None:
    assert codes(value) == expected


def test_entries_at_the_limits_pass() -> None:
    assert codes({"A": "x" * 32768, "B": "x" * 32768, **{f"C{n}": "" for n in range(30)}}) == []


def test_values_are_literal() -> None:
    value = "$(id -u) `id` \"quoted\" 'x' \\n\nnext $HOME"
    assert read_env({"A": value}, "", Findings()) == (("A", value),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "ghp_" + "a" * 36),
        ("X", "https://user:pass1@host/"),
        ("X", "-----BEGIN RSA PRIVATE KEY-----"),
        ("DB_PASSWORD", "correct horse"),
    ],
)
def test_value_that_looks_like_a_secret_is_warned_about(name: str, value: str) -> None:
    findings = Findings()
    read_env({name: value}, "containerEnv", findings)
    assert [w.code for w in findings.warnings] == ["secret_in_env"]


def test_ordinary_value_has_no_warning() -> None:
    findings = Findings()
    read_env({"LANG": "C.UTF-8", "API_TOKEN": "${containerEnv:X}"}, "containerEnv", findings)
    assert findings.warnings == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${containerEnv:A}", "one"),
        ("${containerEnv:B}", "${containerEnv:A}"),
        ("${containerEnv:NOPE:dflt}", "dflt"),
        ("${containerEnv:NOPE}", ""),
        ("${containerEnv:EMPTY:dflt}", ""),
        ("x-${devcontainerId}", "x-id1"),
        ("${A} $A ${nope}", "${A} $A ${nope}"),
    ],
)
def test_spec_variables_are_expanded_once(value: str, expected: str) -> None:
    assert expand_env(value, ENV, "id1") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/opt/x:${PATH}", "/opt/x:/usr/bin:/bin"),
        ("/opt/x:$PATH", "/opt/x:/usr/bin:/bin"),
        ("${containerEnv:A}", "one"),
        ("${NOPE:-word} ${A:+set} ${A:-word} ${EMPTY:-word}", "word set one word"),
        ("${devcontainerId} ${NOPE}", "id1 "),
        ("cost $5 and $", "cost $5 and $"),
        ("${B}", "${containerEnv:A}"),
    ],
)
def test_feature_values_are_expanded_as_in_an_env_instruction(value: str, expected: str) -> None:
    assert expand_feature_env(value, ENV, "id1") == expected


def test_path_of_an_image_without_one_is_dockers() -> None:
    assert expand_feature_env("/opt:${PATH}", {}, "") == f"/opt:{DEFAULT_PATH}"


def test_values_made_of_each_other_do_not_grow_without_end() -> None:
    with pytest.raises(EnvTooLarge):
        expand_feature_env("$A" * 1000, {"A": "x" * 32000}, "")


def test_unclosed_variables_are_read_in_linear_time() -> None:
    text = "${localEnv:" * 9000  # minutes, if each start were to search to the end
    assert expand_env(text[:60000], {}, "") == text[:60000]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("/opt/bin", "/opt/bin:/usr/bin:/bin"),
        ("/opt/bin:/usr/bin:/bin", "/opt/bin:/usr/bin:/bin"),
        ("/usr/bin:/opt", "/usr/bin:/opt:/bin"),
        ("", "/usr/bin:/bin"),
    ],
)
def test_path_keeps_what_it_had(new: str, expected: str) -> None:
    assert extend_path(new, "/usr/bin:/bin") == expected


def test_path_set_where_there_was_none_keeps_dockers_default() -> None:
    env: dict[str, str] = {}
    apply_env(env, [("PATH", "/opt/bin")])
    assert env["PATH"] == f"/opt/bin:{DEFAULT_PATH}"
