"""One list of hostile strings arrives byte for byte through every route."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.stack.features import ref
from tests.stack.hostile import HOSTILE, WITH_VARIABLES
from tests.stack.images import run_in
from tests.stack.server import Api

pytestmark = pytest.mark.engine

WRITE_ARGUMENTS = 'out=$1; shift; for a in "$@"; do printf "%s\\0" "$a"; done > "$out"'


def _numbered(prefix: str) -> dict[str, str]:
    values = HOSTILE if prefix == "FEATURE" else WITH_VARIABLES
    return {f"{prefix}_{number}": value for number, value in enumerate(values)}


@pytest.fixture(scope="module")
def tag(api: Api) -> str:
    """One image whose every part has the strings in it."""
    arguments = ["/bin/sh", "-c", WRITE_ARGUMENTS, "sh"]
    config = {
        "image": "debian:bookworm-slim",
        "features": {
            ref("note"): {"text": "|".join(WITH_VARIABLES)},
            ref("hostile-env"): {},
            ref("after-hostile"): {},
        },
        "containerEnv": {"NONCE": uuid.uuid4().hex, **_numbered("CONFIG")},
        "onCreateCommand": [*arguments, "/home/agent/array", *WITH_VARIABLES],
        "postCreateCommand": {"named": [*arguments, "/home/agent/named", *WITH_VARIABLES]},
    }
    mise = {"tools": {}, "env": _numbered("MISE")}
    crew = api.crew(f"hostile-{uuid.uuid4().hex[:6]}", config, mise_config=json.dumps(mise))
    return api.build(crew)


def _environment(tag: str) -> dict[str, str]:
    entries = run_in(tag, "env", "-0").split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


@pytest.mark.parametrize("prefix", ["CONFIG", "MISE", "FEATURE"])
def test_environment_is_literal(tag: str, prefix: str) -> None:
    seen = _environment(tag)
    expected = _numbered(prefix)
    assert {k: v for k, v in seen.items() if k in expected} == expected


@pytest.mark.parametrize("file", ["/seen", "/seen-after"])
def test_a_features_environment_acts_from_its_install_on(tag: str, file: str) -> None:
    entries = run_in(tag, "cat", file).split("\0")
    seen = dict(entry.split("=", 1) for entry in entries if entry)
    expected = _numbered("FEATURE")
    assert {k: v for k, v in seen.items() if k in expected} == expected


@pytest.mark.parametrize("file", ["array", "named"])
def test_arguments_of_hooks_are_literal(tag: str, file: str) -> None:
    said = run_in(tag, "cat", f"/home/agent/{file}")
    assert tuple(said.split("\0")[:-1]) == WITH_VARIABLES


def test_an_option_value_is_literal(tag: str) -> None:
    assert run_in(tag, "cat", "/usr/local/share/notes/note") == "|".join(WITH_VARIABLES)


def test_protected_names_of_a_feature_never_act(api: Api) -> None:
    config = {
        "image": "debian:bookworm-slim",
        "features": {ref("preload"): {}, ref("note"): {}},
        "containerEnv": {"NONCE": uuid.uuid4().hex},
    }
    crew = api.crew(f"preload-{uuid.uuid4().hex[:6]}", config)
    seen = _environment(api.build(crew))
    assert seen["OWN"] == "acts"
    assert not {"LD_PRELOAD", "BASH_ENV"} & set(seen)
    assert "LD_PRELOAD" in api.log(crew)
