"""When a build fails or is stopped: what is said, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crewship.domain.errors import (
    BuildCancelled,
    BuildStepFailed,
    BuildTimeout,
    ConfigError,
    CrewshipError,
    DiskFull,
    EngineUnreachable,
    FeatureNotFound,
    ImageNotFound,
    RegistryAuth,
    RegistryRateLimited,
    RegistryUnreachable,
)
from crewship.engine.base import ImageConfig, ImageInfo
from crewship.engine.fake import FakeEngine, FakeExec, FakeRun
from provisioning.pipeline.install_features import HOME_SCRIPT
from provisioning.pipeline.snapshot import VERIFY_SCRIPT
from tests.provisioning.pipeline.kit import BASE, Kit, feature_of, features, usual_programs

THREE = {"features": features(one={}, two={}, three={})}
ORDER = [f"ghcr.io/devcontainers/features/{name}" for name in ("one", "two", "three")]
ORDERED = {**THREE, "overrideFeatureInstallOrder": ORDER}


def nothing_is_left(kit: Kit) -> None:
    assert {what: left for what, left in kit.left_over().items() if left} == {}
    assert kit.engine.image_tags("crewship-cache") == []


def failing(name: str, run: FakeRun) -> Callable[[FakeExec], FakeRun | None]:
    return lambda call: run if feature_of(call) == name else None


def test_a_failed_script_is_named_with_code_and_last_lines(kit: Kit) -> None:
    lines = "".join(f"line {n}\n" for n in range(40))
    kit.engine.on_exec(failing("two", FakeRun(f"{lines}\x1b[31mE: broken\x1b[0m\n", exit_code=3)))
    with pytest.raises(BuildStepFailed) as caught:
        kit.build(ORDERED)
    message = caught.value.message
    assert message.startswith(
        "Feature ghcr.io/devcontainers/features/two:1 failed with exit code 3:"
    )
    assert message.endswith("line 39\nE: broken")
    assert "line 5\n" not in message
    assert caught.value.extra["exit_code"] == 3
    assert "line 5" in kit.emit.lines
    nothing_is_left(kit)


def test_layers_below_a_failure_serve_the_next_try(kit: Kit) -> None:
    kit.engine.on_exec(failing("two", FakeRun(exit_code=1)))
    with pytest.raises(BuildStepFailed):
        kit.build(ORDERED)
    kit.engine.on_exec(failing("two", FakeRun()))
    kit.build(ORDERED)
    assert kit.emit.layers == [
        ("user agent", True),
        ("one:1", True),
        ("two:1", False),
        ("three:1", False),
    ]


def test_a_silent_failure_says_so(kit: Kit) -> None:
    kit.engine.on_exec(failing("one", FakeRun(exit_code=1)))
    with pytest.raises(BuildStepFailed, match="printed nothing"):
        kit.build({"features": features(one={})})


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"idle_timeout_s": 0.05}, "printed nothing for 0.05 s"),
        ({"step_timeout_s": 0.05}, "ran longer than 0.05 s"),
    ],
)
def test_a_script_that_does_not_end_is_stopped(
    limits: dict[str, float], said: str, kit: Kit
) -> None:
    kit.set_options(**limits)
    kit.engine.on_exec(failing("one", FakeRun("working\n", sleep_s=30)))
    with pytest.raises(BuildTimeout, match=said) as caught:
        kit.build({"features": features(one={})})
    assert "working" in caught.value.message
    nothing_is_left(kit)


def test_a_cancel_within_a_script_stops_it(kit: Kit) -> None:
    def cancelled(call: FakeExec) -> FakeRun | None:
        if feature_of(call) != "two":
            return None
        kit.cancel.set()
        return FakeRun("begun\n", sleep_s=30)

    kit.engine.on_exec(cancelled)
    with pytest.raises(BuildCancelled):
        kit.build(ORDERED)
    assert [label for label, _ in kit.emit.layers] == ["user agent", "one:1"]
    nothing_is_left(kit)


def test_a_cancel_before_the_first_step_does_nothing(kit: Kit) -> None:
    kit.cancel.set()
    with pytest.raises(BuildCancelled):
        kit.build()
    assert kit.engine.call_args("create_container") == []


def test_a_cancel_after_the_last_commit_leaves_no_image(kit: Kit) -> None:
    class LateCancel(FakeEngine):
        def commit(self, container: str, config: ImageConfig, tag: str) -> str:
            image_id = super().commit(container, config, tag)
            if config.user == "1001":
                kit.cancel.set()
            return image_id

    engine = LateCancel()
    engine.__dict__.update(kit.engine.__dict__)
    kit.engine = engine
    with pytest.raises(BuildCancelled):
        kit.build()
    nothing_is_left(kit)


@pytest.mark.parametrize("method", ["create_container", "start_container", "put_archive", "commit"])
def test_an_engine_that_fails_leaves_nothing(method: str, kit: Kit) -> None:
    kit.engine.fail_next(method, DiskFull("no space left"))
    with pytest.raises(DiskFull):
        kit.build()
    nothing_is_left(kit)


def test_an_engine_that_fails_at_the_tag_leaves_nothing(kit: Kit) -> None:
    kit.engine.fail_next("tag", DiskFull("no space left"))
    with pytest.raises(DiskFull):
        kit.build()
    nothing_is_left(kit)


def test_an_unreachable_engine_is_seen_first(kit: Kit) -> None:
    kit.engine.unreachable = True
    with pytest.raises(EngineUnreachable):
        kit.build()
    assert kit.emit.steps == ["checking the config"]


def test_a_feature_that_does_not_exist_is_said(kit: Kit) -> None:
    with pytest.raises(FeatureNotFound, match="absent"):
        kit.build({"features": features(absent={})})
    nothing_is_left(kit)


def test_a_base_that_does_not_exist_is_said(kit: Kit) -> None:
    with pytest.raises(ImageNotFound):
        kit.build({"image": "debian:absent"})


def test_a_rebuild_goes_on_with_the_local_base_when_its_registry_is_away(kit: Kit) -> None:
    kit.engine.fail_next("pull", RegistryUnreachable("no route to docker.io."))
    kit.build(rebuild=True)
    assert any(line.startswith("Warning: no route to docker.io.") for line in kit.emit.said)


def test_without_a_local_base_an_unreachable_registry_is_an_error(kit: Kit) -> None:
    kit.engine.fail_next("pull", RegistryUnreachable("no route"))
    with pytest.raises(RegistryUnreachable):
        kit.build({"image": "debian:sid"})


@pytest.mark.parametrize(
    "error", [RegistryAuth("401"), RegistryRateLimited("429"), ImageNotFound("404")]
)
def test_other_answers_of_the_registry_end_a_rebuild(error: CrewshipError, kit: Kit) -> None:
    kit.engine.fail_next("pull", error)
    with pytest.raises(type(error)):
        kit.build(rebuild=True)


@pytest.mark.parametrize(
    "volume", ["/", "/home", "/home/agent", "/usr", "/opt/", "/var/lib", "/var"]
)
def test_a_volume_where_builds_write_is_refused(volume: str, kit: Kit) -> None:
    kit.engine.add_image("debian:sid", ImageConfig(volumes=(volume,)))
    with pytest.raises(ConfigError) as caught:
        kit.build({"image": "debian:sid"})
    assert caught.value.error_code == "base_volume"
    assert kit.engine.call_args("create_container") == []


def test_a_volume_elsewhere_is_a_warning(kit: Kit) -> None:
    kit.engine.add_image("debian:sid", ImageConfig(volumes=("/data",)))
    kit.build({"image": "debian:sid"})
    assert any("/data is a VOLUME" in line for line in kit.emit.said)


def test_a_base_of_another_platform_is_refused(kit: Kit) -> None:
    class Arm(FakeEngine):
        def image(self, reference: str) -> ImageInfo | None:
            from dataclasses import replace

            found = super().image(reference)
            return replace(found, platform="linux/arm64") if found else None

    engine = Arm()
    engine.add_image(BASE)
    kit.engine = engine
    with pytest.raises(ConfigError) as caught:
        kit.build()
    assert caught.value.error_code == "arch_mismatch"


@pytest.mark.parametrize("code", [70, 71])
def test_a_name_or_uid_that_is_taken_is_a_user_conflict(code: int, kit: Kit) -> None:
    def taken(call: FakeExec) -> FakeRun | None:
        return FakeRun("uid 1001 is node's\n", code) if "uid=1001" in call.argv[-1] else None

    kit.engine.on_exec(taken)
    with pytest.raises(ConfigError, match="uid 1001 is node's") as caught:
        kit.build()
    assert caught.value.error_code == "user_conflict"
    nothing_is_left(kit)


@pytest.mark.parametrize("said", ["1001\nnode\n1001\n", "1001\nagent\n0\n", "1001\nno name\n", ""])
def test_a_build_that_took_the_agents_uid_away_is_a_user_conflict(said: str, kit: Kit) -> None:
    kit.engine.on_exec(lambda call: FakeRun(said) if call.argv[-1] == VERIFY_SCRIPT else None)
    with pytest.raises(ConfigError) as caught:
        kit.build()
    assert caught.value.error_code == "user_conflict"
    nothing_is_left(kit)


def test_an_old_image_keeps_the_tag_when_a_rebuild_fails(kit: Kit) -> None:
    old = kit.build({"features": features(one={})})
    kit.engine.publish(BASE)
    kit.engine.on_exec(failing("one", FakeRun(exit_code=1)))
    with pytest.raises(BuildStepFailed):
        kit.build({"features": features(one={})}, rebuild=True)
    seen: Any = kit.engine.image(old.tag)
    assert seen.image_id == old.image.image_id


def test_what_is_parsed_is_stdout_alone(kit: Kit) -> None:
    warning = "mise WARN  something is deprecated\n"
    kit.engine.on_exec(
        lambda call: (
            replace(usual_programs(call) or FakeRun(), stderr=warning)
            if call.argv[0] == "mise"
            else None
        )
    )
    kit.build({}, {"tools": {"node": "22"}})
    assert "Tool node@22.1.0 installed" in kit.emit.said


def test_an_answer_without_end_is_stopped(kit: Kit) -> None:
    kit.engine.on_exec(
        lambda call: FakeRun(["x" * 65536] * 40) if call.argv[:2] == ("mise", "ls") else None
    )
    with pytest.raises(BuildStepFailed, match="more than 1 MiB") as caught:
        kit.build({}, {"tools": {"node": "22"}})
    assert caught.value.error_code == "output_too_long"
    nothing_is_left(kit)


@pytest.mark.parametrize("home", ["/" + "x" * 2000, "/home/a\x07b"])
def test_a_home_that_no_path_has_is_refused(home: str, kit: Kit) -> None:
    kit.engine.on_exec(lambda call: FakeRun(f"{home}\n") if call.argv[-1] == HOME_SCRIPT else None)
    with pytest.raises(ConfigError) as caught:
        kit.build({"features": features(one={})})
    assert caught.value.error_code == "user_conflict"
    assert len(caught.value.message) < 200
