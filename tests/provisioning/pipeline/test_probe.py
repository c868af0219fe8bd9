"""A base image that cannot carry a config is refused before anything is installed on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from crewship.domain.errors import (
    ConfigError,
    ContainerGone,
    CrewshipError,
    RegistryUnreachable,
    ShellMissing,
)
from crewship.engine.base import ImageConfig
from crewship.engine.fake import FakeExec, FakeRun
from provisioning.pipeline.install_features import HOME_SCRIPT
from provisioning.pipeline.probe import PROBE_SCRIPT, same_platform
from provisioning.pipeline.scratch import tar_of
from tests.provisioning.pipeline.kit import BASE, Kit, features

MISE = {"tools": {"node": "22"}}
GLIBC_MISE = b"\x7fELF\x02" + bytes(600) + b"/lib64/ld-linux-x86-64.so.2\0"
DEBIAN = ("package_manager=apt-get", "bash=/usr/bin/bash", "libc=glibc")


def base_says(kit: Kit, *lines: str, exit_code: int = 0) -> None:
    said = "".join(f"{line}\n" for line in lines)
    kit.engine.on_exec(
        lambda call: FakeRun(said, exit_code) if call.argv[-1] == PROBE_SCRIPT else None
    )


def script_of_features(kit: Kit, monkeypatch: pytest.MonkeyPatch, first_line: str) -> None:
    tar = tar_of({"install.sh": f"{first_line}\necho done\n".encode()})
    monkeypatch.setattr(kit.features, "archive_tar", lambda _resolved: tar)


def refused(kit: Kit, config: object = None, mise: object = None) -> CrewshipError:
    """The error, after a look that nothing was made or left."""
    with pytest.raises(CrewshipError) as caught:
        kit.build(config, mise)  # type: ignore[arg-type]
    assert kit.emit.steps[-1] == "fetching the base image and features"
    assert kit.engine.call_args("commit") == []
    assert not any(kit.left_over().values())
    return caught.value


def probes(kit: Kit) -> int:
    return sum(call["argv"][-1] == PROBE_SCRIPT for call in kit.engine.call_args("exec"))


def test_a_base_is_asked_once(kit: Kit) -> None:
    kit.build()
    kit.build({"features": features(one={})})
    kit.engine.fail_next("pull", RegistryUnreachable("away"))
    kit.build(rebuild=True)
    assert probes(kit) == 1


def test_a_base_that_was_built_on_costs_no_container(kit: Kit) -> None:
    kit.build()
    before = len(kit.engine.call_args("create_container"))
    kit.build({"containerEnv": {"A": "1"}})
    assert len(kit.engine.call_args("create_container")) == before + 1  # the final layer's


def test_what_is_remembered_in_another_shape_is_asked_again(kit: Kit) -> None:
    kit.build()
    for records in kit.ledger.records.values():
        for record in records:
            record.facts["probe"].pop("libc")
    kit.build()
    assert probes(kit) == 2


def test_a_base_without_a_shell_is_named(kit: Kit) -> None:
    kit.engine.add_image("debian:sid", shell=False)
    error = refused(kit, {"image": "debian:sid"})
    assert isinstance(error, ShellMissing)
    assert "debian:sid" in error.message


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        ("exec /bin/sh: exec format error\n", "arch_mismatch"),
        ("/bin/sh: sleep: not found\n", "base_unusable"),
        ("/bin/sh: error while loading shared libraries: libc.so.6\n", "base_unusable"),
    ],
)
def test_a_base_whose_shell_ends_at_once_is_refused(kit: Kit, printed: str, code: str) -> None:
    kit.engine.fail_next("exec", ContainerGone("not running"))
    kit.engine.last_words = printed
    error = refused(kit)
    assert error.error_code == code
    assert printed.strip() in error.message


def test_a_probe_whose_container_was_taken_away_can_be_tried_again(kit: Kit) -> None:
    kit.engine.fail_next("exec", ContainerGone("not running"))
    assert isinstance(refused(kit), ContainerGone)


def test_a_shell_that_fails_is_refused(kit: Kit) -> None:
    base_says(kit, "exec failed: exec format error", exit_code=126)
    assert refused(kit).error_code == "arch_mismatch"


def test_a_base_that_prints_without_end_is_stopped_and_refused(kit: Kit) -> None:
    endless = ["y" * 65536] * 100
    kit.engine.on_exec(lambda call: FakeRun(endless) if PROBE_SCRIPT in call.argv else None)
    error = refused(kit)
    assert error.error_code == "base_unusable"
    assert "more than 1 MiB" in error.message
    assert kit.engine.call_args("kill_container")


def test_what_a_hostile_base_says_is_kept_in_parts_only(kit: Kit) -> None:
    base_says(kit, *[f"owner={'x' * 3000}{n}" for n in range(300)])
    error = refused(kit)
    assert error.error_code == "user_conflict"
    assert len(error.message) < 25_000


def test_a_base_without_the_usual_programs_is_refused(kit: Kit) -> None:
    base_says(kit, "missing=mkdir", "missing=chown")
    error = refused(kit)
    assert error.error_code == "base_unusable"
    assert "mkdir, chown" in error.message


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (["agent=1000:/home/agent"], "uid 1000"),
        (["owner=node"], "user node"),
        (["agent=1001:/home/agent", "owner=agent", "owner=node"], "user node"),
    ],
)
def test_a_name_or_uid_that_is_taken_is_a_user_conflict(
    kit: Kit, lines: Sequence[str], named: str
) -> None:
    base_says(kit, *lines)
    error = refused(kit)
    assert error.error_code == "user_conflict"
    assert named in error.message


def test_the_agent_may_be_there_already(kit: Kit) -> None:
    base_says(kit, *DEBIAN, "agent=1001:/home/agent", "owner=agent")
    kit.build()


def test_a_volume_on_the_home_that_the_base_gives_the_agent_is_refused(kit: Kit) -> None:
    kit.engine.add_image("debian:sid", ImageConfig(volumes=("/srv/agent",)))
    base_says(kit, "agent=1001:/srv/agent", "owner=agent")
    assert refused(kit, {"image": "debian:sid"}).error_code == "base_volume"


@pytest.mark.parametrize("volume", ["/usr/lib", "/usr/local", "/etc", "/var/lib/dpkg", "/home/"])
def test_a_volume_where_packages_write_is_refused(kit: Kit, volume: str) -> None:
    kit.engine.add_image("debian:sid", ImageConfig(volumes=(volume,)))
    assert refused(kit, {"image": "debian:sid"}).error_code == "base_volume"
    assert kit.engine.call_args("create_container") == []


@pytest.mark.parametrize(
    "first_line",
    ["#!/bin/bash", "#!/bin/bash -i", "#!/usr/bin/env bash", "#! /usr/bin/env -S bash"],
)
def test_a_first_feature_for_bash_needs_a_base_with_bash(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, first_line: str
) -> None:
    base_says(kit, "libc=musl", "package_manager=apk")
    script_of_features(kit, monkeypatch, first_line)
    error = refused(kit, {"features": features(one={})})
    assert error.error_code == "shell_missing"
    assert "features/one:1" in error.message


@pytest.mark.parametrize("first_line", ["#!/bin/bash\r", "#!/usr/bin/env bash\r", "#!/bin/sh\r"])
def test_a_feature_with_windows_line_ends_is_told(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, first_line: str
) -> None:
    script_of_features(kit, monkeypatch, first_line)
    with pytest.raises(ConfigError) as caught:
        kit.build({"features": features(one={})})
    assert caught.value.error_code == "windows_line_ends"
    assert "features/one:1" in caught.value.message
    assert "\r" not in caught.value.message


@pytest.mark.parametrize("first_line", ["#!/bin/sh", "#!/usr/bin/env sh", "", "#!"])
def test_a_feature_for_sh_needs_no_bash(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, first_line: str
) -> None:
    base_says(kit, "libc=musl", "package_manager=apk")
    script_of_features(kit, monkeypatch, first_line)
    kit.build({"features": features(one={})})


def looks_for_bash(call: FakeExec) -> bool:
    return call.argv[-1] in {"bash", "/bin/bash"} and "command -v" in call.argv[2]


def two_where_the_second_wants_bash(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    base_says(kit, "libc=musl", "package_manager=apk")
    lines = {"one": "#!/bin/sh", "two": "#!/bin/bash"}
    monkeypatch.setattr(
        kit.features,
        "archive_tar",
        lambda found: tar_of({"install.sh": f"{lines[found.ref.id]}\n".encode()}),
    )
    order = [f"ghcr.io/devcontainers/features/{name}" for name in ("one", "two")]
    return {"features": features(one={}, two={}), "overrideFeatureInstallOrder": order}


def test_a_later_feature_may_get_its_bash_from_an_earlier_one(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.build(two_where_the_second_wants_bash(kit, monkeypatch))
    assert [label for label, _ in kit.emit.layers][1:] == ["one:1", "two:1"]


def test_a_later_feature_without_bash_is_not_started(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = two_where_the_second_wants_bash(kit, monkeypatch)
    started: list[FakeExec] = []
    kit.engine.on_exec(lambda call: FakeRun("", 127) if looks_for_bash(call) else None)
    kit.engine.on_exec(
        lambda call: started.append(call) if call.argv[-1].endswith("./install.sh") else None
    )
    with pytest.raises(ConfigError) as caught:
        kit.build(config)
    assert caught.value.error_code == "shell_missing"
    assert "features/two:1 needs /bin/bash" in caught.value.message
    assert len(started) == 1


def test_a_base_with_bash_is_not_asked_for_it_again(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_says(kit, *DEBIAN)
    script_of_features(kit, monkeypatch, "#!/bin/bash")
    asked: list[FakeExec] = []
    kit.engine.on_exec(lambda call: asked.append(call) if looks_for_bash(call) else None)
    kit.build({"features": features(one={})})
    assert asked == []


def test_a_bash_in_an_odd_place_is_looked_for_where_the_script_wants_it(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_says(kit, "bash=/usr/local/bin/bash")
    script_of_features(kit, monkeypatch, "#!/bin/bash")
    kit.engine.on_exec(lambda call: FakeRun("", 127) if looks_for_bash(call) else None)
    with pytest.raises(ConfigError, match="needs /bin/bash"):
        kit.build({"features": features(one={})})


def test_without_a_package_manager_features_are_warned_about(kit: Kit) -> None:
    base_says(kit, "libc=glibc")
    kit.build({"features": features(one={})})
    assert sum("no package manager" in line for line in kit.emit.said) == 1


def test_without_features_no_package_manager_is_missed(kit: Kit) -> None:
    base_says(kit, "libc=glibc")
    kit.build()
    assert not any("package manager" in line for line in kit.emit.said)


@pytest.mark.parametrize("libc", ["libc=musl", "libc="])
def test_mise_for_glibc_is_refused_elsewhere(kit: Kit, tmp_path: Path, libc: str) -> None:
    (tmp_path / "mise").write_bytes(GLIBC_MISE)
    base_says(kit, libc)
    assert refused(kit, mise=MISE).error_code == "libc_unsupported"


def test_mise_for_glibc_goes_onto_glibc(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "mise").write_bytes(GLIBC_MISE)
    base_says(kit, *DEBIAN)
    kit.build(mise=MISE)


def test_an_operators_static_mise_goes_onto_musl(kit: Kit) -> None:
    base_says(kit, "libc=musl")
    kit.build(mise=MISE)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm64", "linux/amd64", False),
        ("windows/amd64", "linux/amd64", False),
    ],
)
def test_platforms_are_compared_without_their_variant(one: str, other: str, same: bool) -> None:
    assert same_platform(one, other) is same


def homes_given(kit: Kit, moved: str) -> list[str]:
    """Every feature moves the agent's home to ``moved``; what each of them was told."""
    homes: list[str] = []

    def moving(call: FakeExec) -> FakeRun | None:
        if call.argv[-1].endswith("./install.sh"):
            homes.append(call.env["_REMOTE_USER_HOME"])
        return FakeRun(f"{moved}\n") if call.argv[-1] == HOME_SCRIPT else None

    kit.engine.on_exec(moving)
    return homes


def test_a_feature_is_told_the_home_that_an_earlier_one_left(kit: Kit) -> None:
    homes = homes_given(kit, "/moved")
    kit.build({"features": features(one={}, two={})})
    assert homes == ["/home/agent", "/moved"]


def test_the_home_is_known_from_layers_too(kit: Kit) -> None:
    kit.engine.add_image(BASE)
    homes = homes_given(kit, "/moved")
    kit.build({"features": features(one={})})
    kit.build({"features": features(one={}), "postCreateCommand": "true"})
    (hook,) = [c for c in kit.engine.call_args("exec") if c["argv"][-1] == "true"]
    assert len(homes) == 1
    assert hook["workdir"] == "/moved"


def test_hooks_of_the_bases_label_run_and_the_label_is_written(kit: Kit) -> None:
    label = [{"id": "base", "postCreateCommand": "echo base", "init": True}, {"name": 5}, 6]
    kit.engine.add_image(
        BASE, ImageConfig(labels={"devcontainer.metadata": json.dumps(label), "other": "x"})
    )
    built = kit.build({"postCreateCommand": "echo config"})
    ran = [c["argv"][-1] for c in kit.engine.call_args("exec") if c["user"] == "1001"]
    assert [text for text in ran if text.startswith("echo")] == ["echo base", "echo config"]
    image = kit.engine.image(built.tag)
    assert image is not None
    assert image.config.labels["other"] == "x"
    assert json.loads(image.config.labels["devcontainer.metadata"]) == [
        *label[:2],
        {"postCreateCommand": "echo config", "remoteUser": "agent"},
    ]
    assert built.requirements["init"] is True
    assert [line for line in kit.emit.said if "devcontainer.metadata[2]" in line]
