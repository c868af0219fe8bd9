"""From a request to an image: the six steps, the layers, what is used again and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.pipeline.execute import drop_draft
from tests.provisioning.pipeline.kit import BASE, BASE_PATH, Kit, feature_of, features

THREE = {"features": features(one={}, two={}, three={})}
USER = "user agent"
MISE = {"tools": {"node": "22"}}


def final_config(kit: Kit, tag: str) -> Any:
    image = kit.engine.image(tag)
    assert image is not None
    return image.config


def test_the_image_stands_under_its_tag(kit: Kit) -> None:
    built = kit.build()
    drop_draft(built, kit.tools())
    image = kit.engine.image(built.tag)
    assert image is not None
    assert image.image_id == built.image.image_id
    assert image.tags == (built.tag,)
    assert all(not left for left in kit.left_over().values())


def test_the_six_steps_come_in_their_order(kit: Kit) -> None:
    kit.build(THREE, MISE)
    assert kit.emit.steps == [
        "checking the config",
        "fetching the base image and features",
        "installing devcontainer features",
        "installing mise tools",
        "running lifecycle commands and committing",
        "tagging the image",
    ]


def test_layers_are_made_in_order(kit: Kit) -> None:
    kit.build(THREE, MISE)
    labels = [label for label, _ in kit.emit.layers]
    assert labels[0] == USER
    assert sorted(labels[1:4]) == ["one:1", "three:1", "two:1"]
    assert labels[4] == "mise: node@22"


def test_the_override_order_is_kept(kit: Kit) -> None:
    order = [f"ghcr.io/devcontainers/features/{name}" for name in ("two", "three", "one")]
    kit.build({**THREE, "overrideFeatureInstallOrder": order})
    assert [label for label, _ in kit.emit.layers[1:4]] == ["two:1", "three:1", "one:1"]


def test_messages_count_the_features(kit: Kit) -> None:
    kit.build(THREE)
    counted = [m for m in kit.emit.messages if m.startswith("installing devcontainer features")]
    assert [m.partition(":")[0] for m in counted] == [
        f"installing devcontainer features ({n} of 3" for n in (1, 2, 3)
    ]


def test_a_feature_is_said_to_be_installed(kit: Kit) -> None:
    kit.build(THREE)
    assert {"Feature one installed", "Feature two installed"} <= set(kit.emit.said)


def test_a_second_run_uses_every_layer_again(kit: Kit) -> None:
    kit.build(THREE, MISE)
    kit.build(THREE, MISE)
    assert {hit for _, hit in kit.emit.layers} == {True}
    assert len(kit.emit.layers) == 5
    assert len(kit.ledger.used) == 5
    assert "Feature one reused" in kit.emit.said


def test_another_crew_shares_the_common_prefix(kit: Kit) -> None:
    kit.build({"features": features(one={}, two={})})
    order = [f"ghcr.io/devcontainers/features/{name}" for name in ("one", "two", "three")]
    kit.build({**THREE, "overrideFeatureInstallOrder": order})
    assert kit.emit.layers == [
        (USER, True),
        ("one:1", True),
        ("two:1", True),
        ("three:1", False),
    ]


def test_an_option_rebuilds_from_its_feature_on(kit: Kit) -> None:
    kit.build(THREE)
    before = [label for label, _ in kit.emit.layers]
    kit.build({"features": features(one={}, two={"version": "9"}, three={})})
    changed = before.index("two:1")
    assert [label for label, _ in kit.emit.layers] == before
    assert [hit for _, hit in kit.emit.layers] == [n < changed for n in range(len(before))]


def test_a_moved_feature_tag_is_another_layer(kit: Kit) -> None:
    kit.build({"features": features(three={})})
    kit.features.publish("three:1", content="v2")
    kit.build({"features": features(three={})})
    assert kit.emit.layers == [(USER, True), ("three:1", False)]


def test_containerenv_and_hooks_cost_no_layer(kit: Kit) -> None:
    kit.build(THREE)
    kit.build({**THREE, "containerEnv": {"A": "b"}, "postCreateCommand": "true"})
    assert {hit for _, hit in kit.emit.layers} == {True}


def test_a_rebuild_uses_no_layer_and_resolves_again(kit: Kit) -> None:
    kit.engine.publish(BASE)
    first = kit.build(THREE)
    second = kit.build(THREE, rebuild=True)
    assert {hit for _, hit in kit.emit.layers} == {False}
    assert first.tag == second.tag
    assert first.image.image_id != second.image.image_id
    assert len(kit.engine.call_args("pull")) == 1


def test_what_a_rebuild_made_is_used_next(kit: Kit) -> None:
    kit.engine.publish(BASE)
    kit.build(THREE)
    kit.build(THREE, rebuild=True)
    newest = {records[0].tag for records in kit.ledger.records.values()}
    kit.build(THREE)
    assert set(kit.ledger.used) <= newest


def test_a_layer_that_left_the_host_is_built_again(kit: Kit) -> None:
    kit.build(THREE)
    for image in kit.engine.image_tags("crewship-layer"):
        kit.engine.remove_image(image.tag)
    kit.build(THREE)
    assert {hit for _, hit in kit.emit.layers} == {False}


def test_a_layer_tag_that_names_another_image_is_not_trusted(kit: Kit) -> None:
    kit.build(THREE)
    for image in kit.engine.image_tags("crewship-layer"):
        kit.engine.add_image(image.tag)
    kit.build(THREE)
    assert {hit for _, hit in kit.emit.layers} == {False}


def test_with_another_scope_nothing_is_shared(kit: Kit) -> None:
    kit.build(THREE)
    kit.scope_key = "another workspace"
    kit.build(THREE)
    assert {hit for _, hit in kit.emit.layers} == {False}


def test_the_images_config_is_the_bases_with_the_agent(kit: Kit) -> None:
    built = kit.build({"containerEnv": {"A": "it's $(id) `id` \n end"}})
    config = final_config(kit, built.tag)
    assert (config.user, config.cmd, config.entrypoint) == ("1001", ("bash",), None)
    assert dict(config.env)["A"] == "it's $(id) `id` \n end"
    assert dict(config.env)["PATH"] == BASE_PATH


def test_a_base_without_command_gets_a_shell(kit: Kit) -> None:
    kit.engine.add_image("debian:sid")
    built = kit.build({"image": "debian:sid"})
    assert final_config(kit, built.tag).cmd == ("/bin/sh",)


def test_a_features_environment_ends_in_the_image(kit: Kit) -> None:
    kit.features.publish("three:1", containerEnv={"PATH": "/opt/three/bin:${PATH}", "T": "3"})
    env = dict(final_config(kit, kit.build(THREE).tag).env)
    assert env["T"] == "3"
    assert env["PATH"] == f"/opt/three/bin:{BASE_PATH}"


def test_mise_puts_its_tools_in_front(kit: Kit) -> None:
    env = dict(final_config(kit, kit.build(mise=MISE).tag).env)
    assert env["PATH"].startswith("/opt/mise/installs/node/22.1.0/bin:")
    assert env["PATH"].endswith(BASE_PATH)
    assert env["JAVA_HOME"] == "/opt/java"


def test_the_requirements_of_features_go_with_the_image(kit: Kit) -> None:
    kit.features.publish("three:1", init=True, postStartCommand="date", entrypoint="/e.sh")
    requirements = kit.build(THREE).requirements
    assert requirements["init"] is True
    assert list(requirements["entrypoints"]) == ["/e.sh"]
    assert len(requirements["post_start"]) == 1


def test_the_provenance_names_base_features_tools_and_layers(kit: Kit) -> None:
    built = kit.build({"features": features(one={"size": "xl"})}, MISE)
    assert built.provenance["base"]["image_id"] == kit.base_id
    assert built.provenance["mise"]["tools"] == {"node": ["22.1.0"]}
    (feature,) = built.resolved_features
    assert feature["ref"] == "ghcr.io/devcontainers/features/one:1"
    assert "@sha256:" in feature["resolved"]
    assert feature["options"] == ["size"]  # names: values may be secrets
    assert "xl" not in str(built.provenance)


def test_an_option_reaches_its_script_only(kit: Kit) -> None:
    seen: dict[str, str | None] = {}

    def look(call: Any) -> None:
        if name := feature_of(call):
            seen[name] = call.env.get("SIZE")

    kit.engine.on_exec(look)
    built = kit.build({"features": features(one={"size": "xl"}, three={})})
    assert seen == {"one": "xl", "three": None}
    assert "SIZE" not in dict(final_config(kit, built.tag).env)


def test_scripts_run_as_root_in_their_directory_with_the_agents_names(kit: Kit) -> None:
    calls: list[Any] = []
    kit.engine.on_exec(lambda call: calls.append(call) if feature_of(call) else None)
    kit.build({"features": features(one={})})
    (call,) = calls
    assert (call.user, call.workdir) == ("root", "/.crewship-build/feature")
    assert call.env["_REMOTE_USER"] == call.env["_CONTAINER_USER"] == "agent"
    assert call.env["_REMOTE_USER_HOME"] == call.env["_CONTAINER_USER_HOME"] == "/home/agent"
    assert call.env["DEBIAN_FRONTEND"] == "noninteractive"


@pytest.mark.parametrize("name", ["DEBIAN_FRONTEND", "APT_CONFIG", "MISE_YES", "_REMOTE_USER"])
def test_what_only_steps_see_is_not_in_the_image(name: str, kit: Kit) -> None:
    built = kit.build(THREE, MISE)
    assert name not in dict(final_config(kit, built.tag).env)


def test_a_local_base_is_not_pulled(kit: Kit) -> None:
    kit.build()
    assert kit.engine.call_args("pull") == []


def test_an_absent_base_is_pulled(kit: Kit) -> None:
    kit.engine.publish("debian:sid")
    kit.build({"image": "debian:sid"})
    (call,) = kit.engine.call_args("pull")
    assert (call["reference"], call["platform"]) == ("debian:sid", "linux/amd64")
