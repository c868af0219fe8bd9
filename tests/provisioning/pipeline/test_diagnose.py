"""What the end of a failed script's output means."""

from __future__ import annotations

import pytest

from crewship.domain.errors import BuildStepFailed
from crewship.engine.fake import FakeRun
from provisioning.pipeline.diagnose import diagnose, may_be_memory
from tests.provisioning.pipeline.kit import Kit, feature_of, features

# Where the messages come from: dash 0.5.12, bash 5.2.15, coreutils 9.1 and apt 2.6.1 of Debian 12,
# printed there; busybox, gcc, make, curl, npm, pip and the registries from their sources and docs.
KNOWN = [
    # shells and interpreters that are not there
    (127, "env: 'bash': No such file or directory", "shell_missing"),  # coreutils
    (127, "env: can't execute 'bash': No such file or directory", "shell_missing"),  # busybox
    (126, "./install.sh: /bin/bash: bad interpreter: No such file", "shell_missing"),  # bash 5.1
    (127, "sh: 1: exec: bash: not found", "shell_missing"),  # dash
    (127, "bash: line 1: ./z.sh: cannot execute: required file not found", "shell_missing"),
    (127, "./install.sh: 12: apt-get: not found", "pkg_manager_missing"),  # dash
    (127, "./install.sh: line 3: apk: command not found", "pkg_manager_missing"),  # bash
    # another processor
    (126, "sh: 1: exec: ./arm: Exec format error", "arch_mismatch"),  # dash
    (126, "bash: line 1: ./arm: cannot execute binary file: Exec format error", "arch_mismatch"),
    # Windows line ends: coreutils' env, bash, dash, an older bash by the kernel
    (127, "/usr/bin/env: 'bash\\r': No such file or directory\n/usr/bin/env: use -[v]S to pass "
          "options in shebang lines", "windows_line_ends"),
    (127, "/usr/bin/env: ‘node\\r’: No such file or directory", "windows_line_ends"),
    (127, "./body.sh: line 3: $'\\r': command not found", "windows_line_ends"),
    (127, "./body.sh: line 2: $'foo\\r': command not found", "windows_line_ends"),
    (2, "./fn.sh: line 1: syntax error near unexpected token `$'{\\r''\n./fn.sh: line 1: `a() {\r'",
     "windows_line_ends"),
    (2, "./body.sh: line 1: set: -\r: invalid option\nset: usage: set [-abefhkmnptuvxBCEHPT]",
     "windows_line_ends"),
    (127, "./empty.sh: 1: \r: not found", "windows_line_ends"),
    (2, "./body.sh: 1: set: Illegal option -\r", "windows_line_ends"),
    (2, "/bin/sh: 0: Illegal option -\r", "windows_line_ends"),
    (126, "./x.sh: /bin/bash^M: bad interpreter: No such file or directory", "windows_line_ends"),
    # the disk
    (100, "E: write error - No space left on device", "disk_full"),  # dpkg, by apt
    (1, "dd: error writing '/big': No space left on device", "disk_full"),
    (100, "E: You don't have enough free space in /var/cache/apt/archives/.", "disk_full"),
    (1, "cp: error writing 'x': Disk quota exceeded", "disk_full"),
    # servers that limit requests
    (1, "toomanyrequests: You have reached your pull rate limit. You may increase the limit by "
        "authenticating and upgrading", "registry_rate_limited"),  # Docker Hub
    (22, "curl: (22) The requested URL returned error: 429", "registry_rate_limited"),
    (8, "2026-11-28 14:00:00 ERROR 429: Too Many Requests.", "registry_rate_limited"),  # wget
    (1, "npm ERR! code E429", "registry_rate_limited"),
    (1, "mise ERROR HTTP status client error (403 rate limit exceeded) for url "
        "(https://api.github.com/repos/x/y/releases)", "registry_rate_limited"),
    (1, '{"message":"API rate limit exceeded for 192.0.2.7."}', "registry_rate_limited"),  # GitHub
    (100, "E: Failed to fetch http://deb.example/x.deb  429  Too Many Requests",
     "registry_rate_limited"),
    # signals
    (137, "compiling", "killed"),
    (137, "", "killed"),
    (143, "Terminated", "killed"),
]  # fmt: skip

SOURCES = [
    ("E: The repository 'http://deb.example/debian nosuchsuite Release' does not have a Release "
     "file.", "http://deb.example/debian nosuchsuite Release"),
    ("E: The repository 'https://deb.example stable InRelease' is not signed.",
     "https://deb.example stable InRelease"),
    ("W: GPG error: https://deb.example stable InRelease: The following signatures couldn't be "
     "verified because the public key is not available: NO_PUBKEY 7EA0A9C3F273FCD8",
     "https://deb.example stable"),
    ("E: Release file for http://deb.example/debian/dists/x/InRelease is expired (invalid since "
     "100d 0h 0min 0s).", "http://deb.example/debian/dists/x/InRelease"),
    ("W: Failed to fetch http://nosuch.invalid/debian/dists/bookworm/InRelease  Could not resolve "
     "'nosuch.invalid'\nW: Some index files failed to download. They have been ignored, or old "
     "ones used instead.\nE: Unable to locate package jq",
     "http://nosuch.invalid/debian/dists/bookworm/InRelease"),
    ("E: Malformed entry 1 in list file /etc/apt/sources.list.d/x.list (Suite)\n"
     "E: The list of sources could not be read.", "/etc/apt/sources.list.d/x.list"),
    ("E: Malformed entry 1 in sources file /etc/apt/sources.list.d/x.sources (URI)",
     "/etc/apt/sources.list.d/x.sources"),
    ("E: Type 'debb' is not known on line 1 in source list /etc/apt/sources.list.d/x.list",
     "/etc/apt/sources.list.d/x.list"),
    ("E: Conflicting values set for option Signed-By regarding source https://deb.example/x/ "
     "stable: /a.gpg != /b.gpg", "https://deb.example/x/"),
]  # fmt: skip


@pytest.mark.parametrize(("exit_code", "tail", "code"), KNOWN)
def test_a_known_sign_has_its_code(exit_code: int, tail: str, code: str) -> None:
    found = diagnose(exit_code, tail)
    assert found is not None
    assert found.code == code
    assert found.hint


@pytest.mark.parametrize(("tail", "source"), SOURCES)
def test_a_broken_package_source_is_named(tail: str, source: str) -> None:
    found = diagnose(100, f"Reading package lists...\n{tail}")
    assert found is not None
    assert (found.code, found.source) == ("apt_source_broken", source)
    assert found.hint.startswith(f"Package source {source}: ")


def test_a_login_in_a_sources_address_is_not_told() -> None:
    found = diagnose(100, "E: The repository 'https://me:secret@deb.example x Release' is gone.")
    assert found is not None
    assert found.source == "https://deb.example x Release"
    assert "secret" not in found.hint


@pytest.mark.parametrize(
    ("exit_code", "tail"),
    [
        (1, "env: 'bash': No such file or directory"),  # printed, and then failed otherwise
        (127, "node: not found"),
        (1, ""),
        (3, "apt-get: not found"),
        (1, "10%\r20%\r30%: not ready"),
        (100, "E: Unable to locate package jq"),
        (1, "the rate of this limit is exceeded by none"),
    ],
)
def test_anything_else_has_none(exit_code: int, tail: str) -> None:
    assert diagnose(exit_code, tail) is None


@pytest.mark.parametrize(
    ("exit_code", "tail"),
    [
        (137, ""),
        (2, "make: *** [all] Killed"),
        (1, "g++: fatal error: Killed signal terminated program cc1plus"),
        (5, "Killed"),
    ],
)
def test_what_the_kernel_killed_for_memory_is_oom(exit_code: int, tail: str) -> None:
    assert may_be_memory(exit_code, tail)
    found = diagnose(exit_code, tail, out_of_memory=True)
    assert found is not None
    assert found.code == "oom"
    assert "CREWSHIP_BUILD_MEMORY_MB" in found.hint


def test_the_engine_is_not_asked_about_memory_for_every_failure() -> None:
    assert not may_be_memory(1, "E: Unable to locate package jq")


def test_a_failed_feature_carries_code_and_hint(kit: Kit) -> None:
    said = FakeRun("./install.sh: 2: apt-get: not found\n", 127)
    kit.engine.on_exec(lambda call: said if feature_of(call) == "one" else None)
    with pytest.raises(BuildStepFailed) as caught:
        kit.build({"features": features(one={})})
    assert caught.value.error_code == "pkg_manager_missing"
    assert "base image" in caught.value.error_hint
    assert caught.value.extra["exit_code"] == 127


def test_a_carriage_return_that_no_line_shows_is_seen(kit: Kit) -> None:
    said = FakeRun("./install.sh: 1: \r: not found\n", 127)
    kit.engine.on_exec(lambda call: said if feature_of(call) == "one" else None)
    with pytest.raises(BuildStepFailed) as caught:
        kit.build({"features": features(one={})})
    assert caught.value.error_code == "windows_line_ends"
    assert "\r" not in caught.value.message


@pytest.mark.parametrize(("memory", "code"), [(True, "oom"), (False, "killed")])
def test_a_killed_step_was_out_of_memory_if_the_engine_says_so(
    memory: bool, code: str, kit: Kit
) -> None:
    kit.engine.out_of_memory = memory
    kit.engine.on_exec(lambda call: FakeRun("", 137) if feature_of(call) == "one" else None)
    with pytest.raises(BuildStepFailed) as caught:
        kit.build({"features": features(one={})})
    assert caught.value.error_code == code


def test_the_source_is_told_to_programs_too(kit: Kit) -> None:
    said = FakeRun("E: The repository 'http://deb.example x Release' is not signed.\n", 100)
    kit.engine.on_exec(lambda call: said if feature_of(call) == "one" else None)
    with pytest.raises(BuildStepFailed) as caught:
        kit.build({"features": features(one={})})
    assert caught.value.extra["source"] == "http://deb.example x Release"


def test_a_failed_hook_has_the_code_of_what_is_known(kit: Kit) -> None:
    kit.engine.out_of_memory = True
    kit.engine.on_exec(lambda call: FakeRun("", 137) if call.argv[-1] == "make" else None)
    with pytest.raises(BuildStepFailed) as caught:
        kit.build({"postCreateCommand": "make"})
    assert caught.value.error_code == "oom"
    assert caught.value.extra["hook"] == "postCreateCommand"
    assert "CREWSHIP_BUILD_MEMORY_MB" in caught.value.error_hint


def test_any_other_failed_hook_is_hook_failed(kit: Kit) -> None:
    kit.engine.on_exec(lambda call: FakeRun("", 3) if call.argv[-1] == "make" else None)
    with pytest.raises(BuildStepFailed) as caught:
        kit.build({"postCreateCommand": "make"})
    assert caught.value.error_code == "hook_failed"
