from __future__ import annotations

import json

import pytest

from crewship.devcontainer.config import default_devcontainer_text, read_crew
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import HookName, Json, MiseTool
from crewship.domain.errors import ConfigInvalid, Problem
from tests.devcontainer.examples import OURS, POLICY, spec_of

SHA = "sha256:" + "a" * 64


def problems_of(
    config: Json, mise: str | None = None, image: str | None = None
) -> tuple[Problem, ...]:
    text = config if isinstance(config, str) or config is None else json.dumps(config)
    with pytest.raises(ConfigInvalid) as caught:
        read_crew(text, mise, image, POLICY)
    return caught.value.problems


def warnings_of(config: Json) -> list[str]:
    return [f"{w.code} {w.path}" for w in spec_of(config).warnings]


@pytest.mark.parametrize(
    ("config", "code", "path"),
    [
        ({"build": {"dockerfile": "x"}}, "build_refused", "build"),
        ({"dockerFile": "x"}, "build_refused", "dockerFile"),
        ({"dockerComposeFile": None}, "build_refused", "dockerComposeFile"),
        ({"image": 1}, "wrong_type", "image"),
        ({"image": ""}, "image_invalid", "image"),
        ({"image": "Debian"}, "image_invalid", "image"),
        ({"image": "a" * 513}, "image_invalid", "image"),
        ({"image": "10.0.0.1/x"}, "image_not_allowed", "image"),
        ({"image": "crewship-cache:0123456789ab"}, "image_not_allowed", "image"),
        ({"features": []}, "wrong_type", "features"),
        ({"features": {"fig": {}}}, "invalid_ref", "features.fig"),
        (
            {"features": {"ghcr.io/evil/features/x:1": {}}},
            "publisher_not_allowed",
            "features.ghcr.io/evil/features/x:1",
        ),
        ({"features": {f"{OURS}/x": False}}, "option_invalid", f"features.{OURS}/x"),
        ({"features": {f"{OURS}/x": None}}, "option_invalid", f"features.{OURS}/x"),
        ({"features": {f"{OURS}/x": {"a": None}}}, "option_invalid", f"features.{OURS}/x.a"),
        ({"features": {f"{OURS}/x": {"a": ["b"]}}}, "option_invalid", f"features.{OURS}/x.a"),
        ({"features": {f"{OURS}/x{n}": {} for n in range(51)}}, "too_many_features", "features"),
        ({"overrideFeatureInstallOrder": "x"}, "wrong_type", "overrideFeatureInstallOrder"),
        ({"overrideFeatureInstallOrder": ["x"]}, "invalid_ref", "overrideFeatureInstallOrder[0]"),
        ({"containerEnv": {"A": 1}}, "wrong_type", "containerEnv.A"),
        ({"remoteEnv": {"A": 1}}, "wrong_type", "remoteEnv.A"),
        ({"remoteUser": 5}, "wrong_type", "remoteUser"),
        ({"privileged": True}, "privileged_refused", "privileged"),
        ({"privileged": "true"}, "wrong_type", "privileged"),
        ({"capAdd": ["SYS_ADMIN"]}, "cap_add_refused", "capAdd[0]"),
        ({"securityOpt": ["seccomp=unconfined"]}, "security_opt_refused", "securityOpt"),
        ({"init": 1}, "wrong_type", "init"),
        ({"name": 1}, "wrong_type", "name"),
        ({"mise": []}, "wrong_type", "mise"),
        ({"mise": {"tools": {"a b": "1"}}}, "mise_tool_invalid", "mise.tools.a b"),
        ("[]", "wrong_type", "devcontainer_config"),
        (json.dumps({"name": "x" * 102400}), "too_large", "devcontainer_config"),
    ],
)
def test_config_that_breaks_a_rule_is_refused(config: Json, code: str, path: str) -> None:
    found = problems_of(config)
    assert [(p.code, p.path) for p in found] == [(code, path)]


@pytest.mark.parametrize(
    ("mount", "code"),
    [
        ("source=/,target=/x,type=bind", "host_mount_refused"),
        ("type=bind,src=vol,dst=/x", "host_mount_refused"),
        ({"source": "/srv", "target": "/x"}, "host_mount_refused"),
        ("source=~/x,target=/x", "host_mount_refused"),
        ("source=${localWorkspaceFolder}/x,target=/x,type=volume", "host_mount_refused"),
        ("source=/var/run/docker.sock,target=/x,type=bind", "docker_socket_refused"),
        ("source=vol,target=/var/run/docker.sock", "docker_socket_refused"),
        ("source=vol,target=/x,type=volume,volume-opt=device=/", "mount_invalid"),
        ("source=vol,target=/x,type=npipe", "mount_invalid"),
        ("source=vol,target=x", "mount_invalid"),
        ("source=vol,target=/a/../b", "mount_invalid"),
        ("source=vol,target=/", "mount_invalid"),
        ("target=/x", "mount_invalid"),
        ("source=a/b,target=/x", "mount_invalid"),
        (7, "wrong_type"),
    ],
)
def test_mount_of_the_host_is_refused(mount: Json, code: str) -> None:
    assert [(p.code, p.path) for p in problems_of({"mounts": [mount]})] == [(code, "mounts[0]")]


@pytest.mark.parametrize(
    "mount",
    [
        "source=vol-${devcontainerId},target=/data,type=volume",
        "src=${devcontainerId},dst=/data",
        {"source": "vol", "target": "/data", "type": "volume"},
    ],
)
def test_named_volume_is_kept(mount: Json) -> None:
    assert spec_of({"mounts": [mount]}).runtime.mounts[0]["target"] == "/data"


def test_two_mounts_on_one_target_are_refused() -> None:
    assert problems_of({"mounts": ["source=a,target=/x", "source=b,target=/x"]})


def test_all_problems_come_at_once_in_the_order_of_the_text() -> None:
    config = {
        "privileged": True,
        "image": "Bad",
        "features": {"x": {}, "ghcr.io/evil/f/y": {"a": None}},
        "postCreateCommand": [1],
    }
    assert [p.path for p in problems_of(config, mise="{")] == [
        "privileged",
        "image",
        "features.x",
        "features.ghcr.io/evil/f/y.a",
        "features.ghcr.io/evil/f/y",
        "postCreateCommand",
        "mise_config",
    ]


def test_syntax_error_says_which_text_and_where() -> None:
    problem = problems_of('{\n "a" 1}')[0]
    assert (problem.path, problem.line, problem.column) == ("devcontainer_config", 2, 6)


def test_empty_text_is_refused() -> None:
    assert problems_of("")[0].code == "syntax"


def test_crew_with_nothing_is_refused() -> None:
    assert problems_of(None)[0].code == "config_missing"


@pytest.mark.parametrize(
    ("config", "warning"),
    [
        ({"forwardPorts": [80]}, "key_ignored forwardPorts"),
        ({"runArgs": ["--privileged"]}, "key_ignored runArgs"),
        ({"remoteUser": "vscode"}, "user_ignored remoteUser"),
        ({"containerUser": "root"}, "user_ignored containerUser"),
        ({"containerEnv": {"A": "${localEnv:HOME}"}}, "local_env containerEnv.A"),
        ({"containerEnv": {"A": "${nope}"}}, "unknown_variable containerEnv.A"),
        ({"postCreateCommand": "echo ${localEnv:X}"}, "local_env postCreateCommand"),
        (
            {"features": {f"{OURS}/x": {"a": "${env:X:y}"}}},
            f"local_env features.{OURS}/x.a",
        ),
    ],
)
def test_legal_without_effect_is_a_warning(config: Json, warning: str) -> None:
    assert warnings_of(config) == [warning]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"remoteUser": "agent", "containerUser": "1001"},
        {"name": "x", "customizations": {"vscode": {}}},
        {"privileged": False, "securityOpt": [], "capAdd": ["CAP_NET_BIND_SERVICE"]},
        {"image": None, "features": None, "mounts": None, "mise": None, "init": None},
        {"postCreateCommand": "echo ${HOME}"},
    ],
)
def test_harmless_config_has_no_warning(config: Json) -> None:
    assert warnings_of(config) == []


def test_local_variables_are_their_default_or_empty() -> None:
    env = {
        "A": "${localEnv:X}",
        "B": "${localEnv:X:d}",
        "C": "${env:X:a:b}",
        "D": "$${localEnv:X}",
        "E": "${localEnv}",
    }
    assert dict(spec_of({"containerEnv": env}).container_env) == {
        "A": "",
        "B": "d",
        "C": "a",
        "D": "$",
        "E": "${localEnv}",
    }


def test_runtime_image_wins_over_the_configs() -> None:
    assert str(read_crew('{"image": "debian:12"}', None, "alpine:3", POLICY).base) == "alpine:3"


def test_disallowed_runtime_image_is_refused_under_its_own_path() -> None:
    found = problems_of("{}", image="evil.example/x")
    assert [(p.code, p.path) for p in found] == [("image_not_allowed", "runtime_image")]


def test_crew_with_mise_only_starts_from_the_default_image() -> None:
    spec = read_crew(None, '{"tools": {"node": "22"}}', None, POLICY)
    assert str(spec.base) == "debian:bookworm-slim"


@pytest.mark.parametrize(("image", "expected"), [(None, "debian:bookworm-slim"), ("a:1", "a:1")])
def test_default_text_names_the_image(image: str | None, expected: str) -> None:
    assert json.loads(default_devcontainer_text(image, Policy())) == {"image": expected}


def test_mise_inside_the_config_is_used_where_mise_config_is_empty() -> None:
    spec = spec_of({"mise": {"tools": {"node": "22"}}})
    assert spec.mise.tools == (MiseTool("node", ("22",)),)


def test_mise_in_both_places_is_refused() -> None:
    found = problems_of({"mise": {"tools": {}}}, mise='{"tools": {}}')
    assert [(p.code, p.path) for p in found] == [("mise_twice", "mise")]


def test_shorthand_and_true_become_options() -> None:
    spec = spec_of({"features": {f"{OURS}/a": "3.9", f"{OURS}/b": True, f"{OURS}/c": {"n": 5}}})
    assert [r.options for r in spec.features] == [{"version": "3.9"}, {}, {"n": 5}]
    assert [r.written_options for r in spec.features] == ["3.9", True, {"n": 5}]


def test_override_list_loses_versions() -> None:
    spec = spec_of({"overrideFeatureInstallOrder": [f"{OURS}/A:1", f"{OURS}/b@{SHA}"]})
    assert spec.override_order == (f"{OURS}/a", f"{OURS}/b")


def test_hooks_are_split_into_baked_and_runtime() -> None:
    spec = spec_of(
        {"postStartCommand": "s", "postCreateCommand": "p", "onCreateCommand": ["o", "x y"]}
    )
    assert [hook.name for hook in spec.hooks] == [HookName.ON_CREATE, HookName.POST_CREATE]
    assert spec.runtime.post_start is not None
    assert spec.hooks[0].entries[0].process() == ("o", "x y")


def test_object_form_has_named_entries() -> None:
    hook = spec_of({"postCreateCommand": {"one": "a", "two": ["b", "c d"]}}).hooks[0]
    assert [(e.name, e.process()) for e in hook.entries] == [
        ("one", ("/bin/sh", "-c", "a")),
        ("two", ("b", "c d")),
    ]


@pytest.mark.parametrize(
    ("value", "code", "path"),
    [
        ("x" * 4097, "hook_too_long", "postCreateCommand"),
        (["x" * 4000, "y" * 97], "hook_too_long", "postCreateCommand"),
        ({"a": "x" * 4097}, "hook_too_long", "postCreateCommand.a"),
        ([], "hook_invalid", "postCreateCommand"),
        (["", "x"], "hook_invalid", "postCreateCommand"),
        ({"a": {"b": "c"}}, "wrong_type", "postCreateCommand.a"),
        (True, "wrong_type", "postCreateCommand"),
        ({str(n): "x" for n in range(65)}, "hook_too_many", "postCreateCommand"),
    ],
)
def test_hook_that_cannot_run_is_refused(value: Json, code: str, path: str) -> None:
    assert [(p.code, p.path) for p in problems_of({"postCreateCommand": value})] == [(code, path)]


@pytest.mark.parametrize("value", [None, "", {}, "x" * 4096])
def test_hook_that_runs_nothing_or_just_fits_is_accepted(value: Json) -> None:
    assert len(spec_of({"postCreateCommand": value}).hooks) == bool(value)
