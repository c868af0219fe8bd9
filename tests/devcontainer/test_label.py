"""The label devcontainer.metadata: what is taken from a base's, what is written into ours."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from crewship.devcontainer.label import read_label, write_label
from crewship.devcontainer.plan import hook_runs, image_env
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.requirements import feature_requirements
from crewship.devcontainer.types import BuildPlan, FeatureRequirements, Json
from tests.devcontainer.examples import BASE, OURS, plan_of

Features = list[tuple[str, dict[str, Json]]]


def on_base(label: Json, features: Features | None = None, config: Json = None) -> BuildPlan:
    entries, _ = read_label(json.dumps(label))
    return plan_of(features or [], config, base=replace(BASE, metadata=entries))


def written(plan: BuildPlan) -> Json:
    return json.loads(write_label(plan, Policy()))


def required(plan: BuildPlan) -> FeatureRequirements:
    requirements, _ = feature_requirements(plan.features, Policy(), plan.base)
    return requirements


def test_no_label_says_nothing() -> None:
    assert read_label("") == ((), ())


def test_an_object_counts_as_its_only_entry() -> None:
    entries, warnings = read_label('{"id": "x", "init": true}')
    assert [(entry.id, entry.init) for entry in entries] == [("x", True)]
    assert warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "null",
        "7",
        '"text"',
        "[" * 100_000,
        '{"a":' * 5000 + "1" + "}" * 5000,
        json.dumps([{}] * 501),
        json.dumps([{"name": "x" * 600_000}]),
        "[" + "9" * 5000 + "]",
        "[1]",
        '[{"init": 1e999}]',
        '[{"onCreateCommand": "a\\u0000b"}]',
        '[{"name": "\\ud800"}]',
    ],
)
def test_what_cannot_be_used_is_ignored_with_one_warning(text: str) -> None:
    entries, warnings = read_label(text)
    assert entries == ()
    assert [warning.code for warning in warnings] == ["label_ignored"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", []),
        ("onCreateCommand", 5),
        ("postCreateCommand", {"a": {}}),
        ("postStartCommand", [""]),
        ("postCreateCommand", "x" * 5000),
        ("mounts", {}),
        ("capAdd", "SYS_ADMIN"),
        ("init", "yes"),
        ("privileged", 1),
        ("securityOpt", [1]),
        ("entrypoint", ["/x"]),
        ("containerEnv", ["A=1"]),
        ("containerEnv", {"A": {}}),
        ("remoteEnv", []),
    ],
)
def test_a_key_of_a_wrong_shape_is_ignored_alone(key: str, value: Json) -> None:
    entries, warnings = read_label(json.dumps([{"customizations": {"a": 1}, key: value}]))
    assert [(w.path, w.code) for w in warnings] == [
        (f"devcontainer.metadata[0].{key}", "label_ignored")
    ]
    assert [entry.raw for entry in entries] == [{"customizations": {"a": 1}}]


def test_a_broken_entry_leaves_the_others() -> None:
    entries, warnings = read_label('[{"id": "a"}, 5, {"id": "b"}]')
    assert [entry.id for entry in entries] == ["a", "b"]
    assert [warning.path for warning in warnings] == ["devcontainer.metadata[1]"]


def test_the_last_user_counts_and_is_warned_about() -> None:
    _, warnings = read_label('[{"remoteUser": "root"}, {"remoteUser": "vscode"}, {}]')
    assert [w.code for w in warnings] == ["user_ignored"]
    assert "vscode" in warnings[0].message


def test_the_agent_as_user_is_no_warning() -> None:
    assert read_label('[{"remoteUser": "root"}, {"remoteUser": "agent"}]')[1] == ()


def test_hooks_of_the_base_run_before_those_of_features_and_config() -> None:
    plan = on_base(
        [{"id": "ghcr.io/x/y:1", "postCreateCommand": "b1"}, {"postCreateCommand": "b2"}],
        [("a:1", {"postCreateCommand": "f", "onCreateCommand": "g"})],
        {"postCreateCommand": "c", "onCreateCommand": "d"},
    )
    runs = [(owner, hook.entries[0].shell) for owner, hook in hook_runs(plan)]
    assert runs == [
        ("a:1", "g"),
        ("", "d"),
        ("ghcr.io/x/y:1", "b1"),
        ("the base image", "b2"),
        ("a:1", "f"),
        ("", "c"),
    ]


def test_the_environment_of_the_base_loses_to_the_configs() -> None:
    plan = on_base(
        [
            {"containerEnv": {"A": "old", "B": "1", "PATH": "/base/bin:${containerEnv:PATH}"}},
            {"containerEnv": {"A": "base", "C": "${containerEnv:F}", "a b": "x"}},
        ],
        [("a:1", {"containerEnv": {"F": "feature", "A": "feature"}})],
        {"containerEnv": {"B": "config"}},
    )
    env = dict(image_env(plan, [("PATH", "/bin")], (), ""))
    assert env == {
        "PATH": "/base/bin:/bin",
        "A": "base",
        "B": "config",
        "C": "feature",
        "F": "feature",
    }
    assert [w.code for w in plan.warnings] == ["env_dropped"]


def test_requirements_of_the_base_are_merged_with_the_features() -> None:
    label = [
        {"init": True, "entrypoint": "/b.sh", "postStartCommand": "b", "capAdd": ["SYS_ADMIN"]},
        {"mounts": ["source=b,target=/v", "source=/,target=/h,type=bind"], "privileged": True},
        {"remoteEnv": {"R": "1", "N": None, "a b": "x"}},
    ]
    plan = on_base(
        label, [("a:1", {"entrypoint": "/f.sh", "mounts": ["source=f,target=/v"],
                         "postStartCommand": "f"})]
    )  # fmt: skip
    found = required(plan)
    assert found.init is True
    assert found.entrypoints == ("/b.sh", "/f.sh")
    assert [m["source"] for m in found.mounts] == ["f"]
    assert [hook.entries[0].shell for hook in found.post_start] == ["b", "f"]
    assert found.cap_add == ()
    assert found.remote_env == (("R", "1"),)
    assert {w.code for w in plan.warnings} == {
        "cap_add_refused",
        "host_mount_refused",
        "privileged_refused",
    }


def test_the_label_has_base_features_and_config_in_this_order() -> None:
    plan = on_base(
        [{"id": "base", "postAttachCommand": "x", "customizations": {"vscode": {}}}],
        [
            ("a:1", {"id": "a", "version": "1.0.0", "options": {}, "init": True,
                     "postCreateCommand": {"one": "x", "two": ["y", "z"]}}),
        ],
        {"onCreateCommand": ["a", "b"], "postCreateCommand": {"n": "c"},
         "containerEnv": {"A": "1"}, "postStartCommand": "s", "name": "n"},
    )  # fmt: skip
    assert written(plan) == [
        {"id": "base", "postAttachCommand": "x", "customizations": {"vscode": {}}},
        {
            "id": f"{OURS}/a:1",
            "postCreateCommand": {"one": "x", "two": ["y", "z"]},
            "init": True,
        },
        {
            "onCreateCommand": ["a", "b"],
            "postCreateCommand": {"n": "c"},
            "containerEnv": {"A": "1"},
            "remoteUser": "agent",
        },
    ]


def test_the_label_asks_for_nothing_that_no_crew_may_have() -> None:
    asked = {
        "privileged": True,
        "securityOpt": ["seccomp=unconfined"],
        "capAdd": ["SYS_ADMIN", "NET_BIND_SERVICE"],
        "mounts": ["source=/,target=/h,type=bind", "source=v,target=/v"],
    }
    *entries, _ = written(on_base([asked], [("a:1", asked)]))
    kept = {"capAdd": ["NET_BIND_SERVICE"], "mounts": ["source=v,target=/v"]}
    assert entries == [kept, {"id": f"{OURS}/a:1", **kept}]


def test_a_label_that_grew_too_long_goes_without_editors_settings() -> None:
    long = {"customizations": {"x": "y" * 300_000}, "init": True}
    text = write_label(on_base([long], [("a:1", long)]), Policy())
    assert "customizations" not in text
    assert text.count('"init":true') == 2


def test_our_own_label_reads_back() -> None:
    plan = on_base([], [("a:1", {"postCreateCommand": "f"})], {"postCreateCommand": "c"})
    entries, warnings = read_label(write_label(plan, Policy()))
    assert warnings == ()
    assert [entry.id for entry in entries] == [f"{OURS}/a:1", ""]
    assert len([hook for entry in entries for hook in entry.hooks]) == 2
