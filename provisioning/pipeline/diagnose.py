"""What the last words of a failed script usually mean: one table, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

NOT_FOUND = frozenset({126, 127})
KILLED = frozenset({137})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    code: str
    hint: str


@dataclass(frozen=True, slots=True)
class _Sign:
    text: str  # a regular expression that the output's end holds
    exit_codes: frozenset[int]  # empty: whatever the code is
    diagnosis: Diagnosis


_SHELL = Diagnosis(
    "shell_missing",
    "The image lacks the shell that the script asks for: choose a base image that has it, or put "
    "a feature that installs it in front.",
)
_SIGNS = (
    _Sign(
        r"exec(?:ve)? format error|cannot execute binary file",
        frozenset(),
        Diagnosis(
            "arch_mismatch",
            "A program is built for another processor than this host's: choose an image and "
            "options for the host's platform.",
        ),
    ),
    _Sign(
        r"no space left on device",
        frozenset(),
        Diagnosis("disk_full", "Free space on the Docker host, then try again."),
    ),
    _Sign(r"env: [^\n]*\b(?:bash|zsh|dash|ash)\b[^\n]*no such file", NOT_FOUND, _SHELL),
    _Sign(r"\bbash\b[^\n]*: bad interpreter|bad interpreter[^\n]*\bbash\b", NOT_FOUND, _SHELL),
    _Sign(r"/(?:ba|z)sh: no such file or directory|\bbash: not found", NOT_FOUND, _SHELL),
    _Sign(
        r"\b(?:apt-get|apt|apk|dnf|microdnf|yum|zypper|pacman): (?:command )?not found",
        NOT_FOUND,
        Diagnosis(
            "pkg_manager_missing",
            "The script installs packages with a package manager that the base image does not "
            "have: choose a base image of the distribution that the feature supports.",
        ),
    ),
    _Sign(
        r"",
        KILLED,
        Diagnosis(
            "oom",
            "It was killed, most often because memory ran out: make the step need less, or raise "
            "CREWSHIP_BUILD_MEMORY_MB.",
        ),
    ),
)  # fmt: skip


def diagnose(exit_code: int, tail: str) -> Diagnosis | None:
    """The first sign that fits a script's exit code and last lines; None: nothing typical."""
    for sign in _SIGNS:
        if sign.exit_codes and exit_code not in sign.exit_codes:
            continue
        if re.search(sign.text, tail, re.IGNORECASE):
            return sign.diagnosis
    return None
