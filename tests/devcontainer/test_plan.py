from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from crewship.devcontainer.plan import feature_env_so_far, hook_runs, image_env, make_plan
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.requirements import feature_requirements
from crewship.devcontainer.types import (
    BaseFacts,
    BuildPlan,
    Json,
    LayerKind,
    MiseSpec,
    MiseTool,
)
from crewship.domain.errors import ConfigInvalid, EnvTooLarge, TooManyLayers
from tests.devcontainer.examples import BASE, MISE, OURS, plan_of, requested, resolved, spec_of

TOOLS = '{"tools": {"node": "22"}}'
BASE_ENV = (("PATH", "/usr/bin:/bin"), ("LANG", "C"))


def keys(plan: BuildPlan) -> list[str | None]:
    return [layer.key for layer in plan.layers]


def shared(one: BuildPlan, other: BuildPlan) -> int:
    """How many layers, from the base up, two plans have in common."""
    same = [a is not None and a == b for a, b in zip(keys(one), keys(other), strict=False)]
    return [*same, False].index(False)


def test_layers_come_as_user_features_mise_final() -> None:
    plan = plan_of([("a:1", {}), ("b:2", {})], {"postCreateCommand": "x"}, mise=TOOLS)
    assert [(layer.kind, layer.label) for layer in plan.layers] == [
        (LayerKind.USER, "user agent"),
        (LayerKind.FEATURE, "a:1"),
        (LayerKind.FEATURE, "b:2"),
        (LayerKind.MISE, "mise: node@22"),
        (LayerKind.FINAL, "postCreateCommand and config"),
    ]


def test_config_without_anything_is_a_user_and_a_final_layer() -> None:
    assert [layer.label for layer in plan_of().layers] == ["user agent", "config"]


def test_equal_input_has_equal_keys() -> None:
    assert keys(plan_of([("a:1", {})], mise=TOOLS)) == keys(plan_of([("a:1", {})], mise=TOOLS))


def test_added_feature_costs_its_layer_and_what_is_above() -> None:
    assert shared(plan_of([("a:1", {})]), plan_of([("a:1", {}), ("b:1", {})])) == 2


def test_changed_feature_content_changes_its_layer() -> None:
    assert shared(plan_of([("a:1", {})]), plan_of([("a:1", {"version": "2"})])) == 1


def test_option_changes_its_layer_only_upwards() -> None:
    spec = spec_of({})
    feature = resolved("b:1", {"options": {"v": {"default": "1"}}})
    plans = [
        make_plan(
            spec,
            [(requested("a:1"), resolved("a:1")), (requested("b:1", options), feature)],
            base=BASE,
            mise_digest=None,
        )
        for options in ({}, {"v": "2"})
    ]
    assert shared(*plans) == 2


def test_explicit_default_shares_the_layer() -> None:
    feature = resolved("b:1", {"options": {"v": {"default": "1"}}})
    plans = [
        make_plan(spec_of({}), [(requested("b:1", o), feature)], base=BASE, mise_digest=None)
        for o in ({}, {"v": "1"})
    ]
    assert keys(plans[0]) == keys(plans[1])


@pytest.mark.parametrize(
    ("change", "common"),
    [
        ({"config": {"containerEnv": {"A": "1"}}}, 3),
        ({"config": {"postCreateCommand": "x"}}, 3),
        ({"config": {"postStartCommand": "x"}}, 4),
        ({"config": {"name": "x"}}, 4),
        ({"mise": '{"tools": {"node": "20"}}'}, 2),
        ({"mise_digest": "sha256:" + "f" * 64}, 2),
        ({"resolved_mise": MiseSpec((MiseTool("node", ("22.1",)),))}, 2),
        ({"base": BaseFacts("sha256:" + "c" * 64, "linux/amd64", 1)}, 0),
        ({"base": BaseFacts(BASE.image_id, "linux/arm64", 1)}, 0),
        ({"base": BaseFacts(BASE.image_id, "linux/amd64", 7)}, 4),
        ({"scope_key": "wsp_a"}, 0),
    ],
)
def test_change_is_felt_from_its_layer_up(change: dict[str, Json], common: int) -> None:
    plan = plan_of([("a:1", {})], mise=TOOLS)
    assert shared(plan, plan_of([("a:1", {})], **{"mise": TOOLS, **change})) == common


def test_feature_environment_is_part_of_the_layers_above() -> None:
    below = resolved("a:1", {"containerEnv": {"A": "1"}})
    changed = resolved("a:1", {"containerEnv": {"A": "1"}})
    plan = make_plan(
        spec_of({}), [(requested("a:1"), below), (requested("b:1"), resolved("b:1"))],
        base=BASE, mise_digest=None,
    )  # fmt: skip
    assert plan.layers[2].parts["env"] == [["A", "1"]]
    assert below == changed


@pytest.mark.parametrize("names", [("base",), ("mise_digest",)])
def test_key_is_unknown_from_the_unknown_part_up(names: tuple[str]) -> None:
    unknown: dict[str, Json] = dict.fromkeys(names)
    plan = plan_of([("a:1", {})], mise=TOOLS, **unknown)
    known = 0 if "base" in unknown else 2
    assert [key is not None for key in keys(plan)] == [True] * known + [False] * (4 - known)


def test_feature_known_by_metadata_only_has_no_key() -> None:
    feature = resolved("a:1")
    planned = type(feature)(feature.ref, feature.identity, feature.metadata)
    plan = make_plan(spec_of({}), [(requested("a:1"), planned)], base=BASE, mise_digest=MISE)
    assert [key is not None for key in keys(plan)] == [True, False, False]


def test_too_many_layers_are_refused() -> None:
    with pytest.raises(TooManyLayers) as caught:
        plan_of([("a:1", {})], base=BaseFacts(BASE.image_id, "linux/amd64", 118))
    assert caught.value.error_code == "too_many_layers"


def test_one_hundred_and_twenty_layers_are_possible() -> None:
    plan = plan_of([("a:1", {})], base=BaseFacts(BASE.image_id, "linux/amd64", 117))
    assert len(plan.layers) == 3


def test_bad_options_of_all_features_are_reported() -> None:
    feature = resolved("a:1", {"options": {"path": {"default": "x"}}})
    with pytest.raises(ConfigInvalid) as caught:
        make_plan(
            spec_of({}), [(requested("a:1"), feature), (requested("b:1"), feature)],
            base=None, mise_digest=None,
        )  # fmt: skip
    assert [p.path for p in caught.value.problems] == [
        f"features.{OURS}/a:1.path",
        f"features.{OURS}/b:1.path",
    ]


def test_hooks_run_name_by_name_features_first() -> None:
    plan = plan_of(
        [
            ("a:1", {"postCreateCommand": "a-post", "onCreateCommand": "a-on"}),
            ("b:1", {"onCreateCommand": "b-on", "postStartCommand": "b-start"}),
        ],
        {"postCreateCommand": "c-post", "updateContentCommand": "c-update"},
    )
    runs = [(owner, hook.entries[0].shell) for owner, hook in hook_runs(plan)]
    assert runs == [
        ("a:1", "a-on"), ("b:1", "b-on"), ("", "c-update"), ("a:1", "a-post"), ("", "c-post"),
    ]  # fmt: skip


def test_image_environment_is_layered_and_path_grows() -> None:
    plan = plan_of(
        [
            ("a:1", {"containerEnv": {"PATH": "/opt/a:${PATH}", "LANG": "de"}}),
            ("b:1", {"containerEnv": {"PATH": "/opt/b", "B": "$LANG history -a"}}),
        ],
        {"containerEnv": {"C": "${containerEnv:B}!", "PATH": "/mine", "ID": "${devcontainerId}"}},
        mise='{"env": {"B": "mise"}}',
    )
    assert dict(image_env(plan, BASE_ENV, (("PATH", "/shims"),), "id1")) == {
        "PATH": "/mine:/shims:/opt/b:/opt/a:/usr/bin:/bin",
        "LANG": "de",
        "B": "mise",
        "C": "mise!",
        "ID": "id1",
    }


def test_values_of_container_env_do_not_see_each_other() -> None:
    plan = plan_of([], {"containerEnv": {"A": "${containerEnv:B}", "B": "${containerEnv:A}"}})
    assert dict(image_env(plan, (("A", "1"), ("B", "2")), (), "")) == {"A": "2", "B": "1"}


def test_feature_installs_with_its_own_environment_and_those_before() -> None:
    plan = plan_of([("a:1", {"containerEnv": {"A": "1"}}), ("b:1", {"containerEnv": {"B": "2"}})])
    assert dict(feature_env_so_far(plan, 0, ())) == {"A": "1"}
    assert dict(feature_env_so_far(plan, 1, ())) == {"A": "1", "B": "2"}


def test_environment_that_doubles_itself_is_refused() -> None:
    env = {"A0": "x" * 1000} | {f"A{n}": f"${{A{n - 1}}}" * 2 for n in range(1, 60)}
    with pytest.raises(EnvTooLarge):
        image_env(plan_of([("a:1", {"containerEnv": env})]), BASE_ENV, (), "")


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"privileged": True}, "privileged_refused"),
        ({"securityOpt": ["seccomp=unconfined"]}, "security_opt_refused"),
        ({"capAdd": ["SYS_PTRACE"]}, "cap_add_refused"),
        ({"mounts": ["source=/,target=/host,type=bind"]}, "host_mount_refused"),
        ({"mounts": ["source=/var/run/docker.sock,target=/s,type=bind"]}, "docker_socket_refused"),
        ({"containerEnv": {"LD_PRELOAD": "/x.so"}}, "env_dropped"),
        ({"containerEnv": {"BASH_ENV": "/x"}}, "env_dropped"),
        ({"containerEnv": {"A B": "x"}}, "env_dropped"),
        ({"containerEnv": {"A": "x" * 40000}}, "env_dropped"),
        ({"deprecated": True}, "feature_deprecated"),
    ],
)
def test_what_no_feature_may_ask_is_dropped_with_a_warning(metadata: Json, code: str) -> None:
    plan = plan_of([("a:1", metadata)])
    assert [w.code for w in plan.warnings] == [code]
    assert dict(image_env(plan, BASE_ENV, (), "")) == dict(BASE_ENV)
    requirements, _ = feature_requirements(plan.features, Policy())
    assert (requirements.mounts, requirements.cap_add) == ((), ())


def test_what_features_may_ask_is_merged() -> None:
    plan = plan_of(
        [
            ("a:1", {"mounts": ["source=a,target=/v"], "entrypoint": "/a.sh", "init": True}),
            ("b:1", {"mounts": [{"source": "b", "target": "/v"}], "entrypoint": "/b.sh",
                     "capAdd": ["NET_BIND_SERVICE"], "postStartCommand": "s"}),
        ]
    )  # fmt: skip
    requirements, warnings = feature_requirements(plan.features, Policy())
    assert [mount["source"] for mount in requirements.mounts] == ["b"]
    assert requirements.entrypoints == ("/a.sh", "/b.sh")
    assert (requirements.init, requirements.cap_add) == (True, ("NET_BIND_SERVICE",))
    assert len(requirements.post_start) == 1
    assert warnings == ()


SCRIPT = """
import json, sys
from crewship.devcontainer.metadata_map import load_metadata_map
from crewship.devcontainer.order import order_features
from tests.devcontainer.examples import BASE, MISE, POLICY, load_cases, spec_of
from crewship.devcontainer.plan import make_plan
out = []
for case in load_cases("feature_order"):
    if case["error"]:
        continue
    spec = spec_of({"features": case["features"], "containerEnv": {"B": "1", "A": "2"},
                    "overrideFeatureInstallOrder": case["override"]},
                   '{"tools": {"b": "1", "a": "2"}}')
    resolve = load_metadata_map(json.dumps(case["metadata"]))
    plan = make_plan(spec, order_features(spec.features, spec.override_order, resolve,
                     policy=POLICY), base=BASE, mise_digest=MISE)
    out.append([plan.config_hash, [[l.label, l.key, l.parts] for l in plan.layers]])
print(json.dumps(out))
"""


def test_plans_do_not_depend_on_the_hash_seed() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "2", "77", "4242")
    }
    assert len(outputs) == 1
    assert len(json.loads(outputs.pop())) > 30
