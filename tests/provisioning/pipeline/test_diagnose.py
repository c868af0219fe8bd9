"""What the end of a failed script's output means."""

from __future__ import annotations

import pytest

from crewship.domain.errors import BuildStepFailed
from crewship.engine.fake import FakeRun
from provisioning.pipeline.diagnose import diagnose
from tests.provisioning.pipeline.kit import Kit, feature_of, features


@pytest.mark.parametrize(
    ("exit_code", "tail", "code"),
    [
        (127, "env: 'bash': No such file or directory", "shell_missing"),
        (127, "env: can't execute 'bash': No such file or directory", "shell_missing"),
        (126, "./install.sh: /bin/bash: bad interpreter: No such file", "shell_missing"),
        (127, "sh: 1: bash: not found", "shell_missing"),
        (127, "./install.sh: 12: apt-get: not found", "pkg_manager_missing"),
        (127, "./install.sh: line 3: apk: command not found", "pkg_manager_missing"),
        (126, "/bin/sh: 1: ./tool: Exec format error", "arch_mismatch"),
        (1, "bash: ./tool: cannot execute binary file: Exec format error", "arch_mismatch"),
        (100, "E: write error - No space left on device", "disk_full"),
        (137, "compiling", "oom"),
        (137, "", "oom"),
    ],
)
def test_a_known_sign_has_its_code(exit_code: int, tail: str, code: str) -> None:
    found = diagnose(exit_code, tail)
    assert found is not None
    assert found.code == code
    assert found.hint


@pytest.mark.parametrize(
    ("exit_code", "tail"),
    [
        (1, "env: 'bash': No such file or directory"),  # printed, and then failed otherwise
        (127, "node: not found"),
        (1, ""),
        (3, "apt-get: not found"),
    ],
)
def test_anything_else_has_none(exit_code: int, tail: str) -> None:
    assert diagnose(exit_code, tail) is None


def test_a_failed_feature_carries_code_and_hint(kit: Kit) -> None:
    said = FakeRun("./install.sh: 2: apt-get: not found\n", 127)
    kit.engine.on_exec(lambda call: said if feature_of(call) == "one" else None)
    with pytest.raises(BuildStepFailed) as caught:
        kit.build({"features": features(one={})})
    assert caught.value.error_code == "pkg_manager_missing"
    assert "base image" in caught.value.error_hint
    assert caught.value.extra["exit_code"] == 127


def test_a_failed_hook_keeps_its_code_and_gets_the_hint(kit: Kit) -> None:
    kit.engine.on_exec(lambda call: FakeRun("", 137) if call.argv[-1] == "make" else None)
    with pytest.raises(BuildStepFailed) as caught:
        kit.build({"postCreateCommand": "make"})
    assert caught.value.error_code == "hook_failed"
    assert "CREWSHIP_BUILD_MEMORY_MB" in caught.value.error_hint
