"""What the last words of a failed script usually mean: one table, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

NOT_FOUND: Final = frozenset({126, 127})
KILLED: Final = frozenset({137, 143})  # SIGKILL, SIGTERM


@dataclass(frozen=True, slots=True)
class Diagnosis:
    code: str
    hint: str
    source: str = ""  # the package source that is to blame


OUT_OF_MEMORY: Final = Diagnosis(
    "oom",
    "It reached the memory limit of a build: make the step need less (fewer processes at once), or "
    "raise CREWSHIP_BUILD_MEMORY_MB.",
)
WINDOWS_LINE_ENDS: Final = Diagnosis(
    "windows_line_ends",
    "A script has Windows line ends (CR LF), which no shell takes: save it with LF alone, with git "
    "by `*.sh text eol=lf` in .gitattributes.",
)
_DISK: Final = Diagnosis("disk_full", "Free space on the Docker host, then try again.")
_RATE: Final = Diagnosis(
    "registry_rate_limited",
    "A server that the step downloads from limits its requests: try again later, or give it a "
    "login (a token in CREWSHIP_MISE_ENV for mise) or a mirror.",
)
_SOURCE: Final = Diagnosis(
    "apt_source_broken",
    "apt can't use a package source of the image: take it out, correct its address or key, or "
    "choose a base image whose distribution is still served.",
)
_SHELL: Final = Diagnosis(
    "shell_missing",
    "The image lacks the shell that the script asks for: choose a base image that has it, or put "
    "a feature that installs it in front.",
)


@dataclass(frozen=True, slots=True)
class _Sign:
    text: str  # a regular expression that the output's end holds; "source" in it names a source
    exit_codes: frozenset[int]  # empty: whatever the code is
    diagnosis: Diagnosis


_ANY: Final = frozenset[int]()
# In the order of what they tell: a script with Windows line ends looks like a missing shell, too.
_SIGNS: Final = (
    # env and bash print a carriage return as \r, the kernel's loader by way of bash as ^M, dash
    # and busybox as it is.
    _Sign(r"\\r['’]\)?: (?:no such file|command not found)", _ANY, WINDOWS_LINE_ENDS),
    _Sign(r"\^M: (?:bad interpreter|command not found)", _ANY, WINDOWS_LINE_ENDS),
    _Sign(r"\r: (?:not found|command not found|bad interpreter)", _ANY, WINDOWS_LINE_ENDS),
    _Sign(r"illegal option -\r|-\r: invalid option|unexpected token .?\$'[^'\n]*\\r'", _ANY,
          WINDOWS_LINE_ENDS),
    _Sign(
        r"exec(?:ve)? format error|cannot execute binary file",
        _ANY,
        Diagnosis(
            "arch_mismatch",
            "A program is built for another processor than this host's: choose an image and "
            "options for the host's platform.",
        ),
    ),
    _Sign(r"no space left on device|disk quota exceeded", _ANY, _DISK),
    _Sign(r"don't have enough free space in /", _ANY, _DISK),
    _Sign(r"\btoomanyrequests\b|too many requests|\bE429\b|\berror:? 429\b", _ANY, _RATE),
    _Sign(r"rate limit (?:has been )?(?:exceeded|reached)|pull rate limit", _ANY, _RATE),
    _Sign(r"^E: The repository '(?P<source>[^'\n]+)'", _ANY, _SOURCE),
    _Sign(r"^[EW]: GPG error: (?P<source>\S+ \S+)", _ANY, _SOURCE),
    _Sign(r"^E: Release file for (?P<source>\S+) is (?:expired|not valid)", _ANY, _SOURCE),
    _Sign(r"^[EW]: Failed to fetch (?P<source>\S+)", _ANY, _SOURCE),
    _Sign(r"^E: Malformed \w+ [^\n]* (?P<source>/etc/apt/\S+)", _ANY, _SOURCE),
    _Sign(r"^E: Type [^\n]* is not known [^\n]* (?P<source>/etc/apt/\S+)", _ANY, _SOURCE),
    _Sign(r"^E: Conflicting values set [^\n]* regarding source (?P<source>\S+)", _ANY, _SOURCE),
    _Sign(r"env: [^\n]*\b(?:bash|zsh|dash|ash)\b[^\n]*no such file", NOT_FOUND, _SHELL),
    _Sign(r"\bbash\b[^\n]*: bad interpreter|bad interpreter[^\n]*\bbash\b", NOT_FOUND, _SHELL),
    _Sign(r"/(?:ba|z)sh: no such file or directory|\bbash: not found", NOT_FOUND, _SHELL),
    _Sign(r"cannot execute: required file not found", NOT_FOUND, _SHELL),
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
            "killed",
            "Something ended it by a signal, and not the build's own memory limit: the script "
            "itself, somebody on the host, or the host because all its memory was used.",
        ),
    ),
)  # fmt: skip


def may_be_memory(exit_code: int, said: str) -> bool:
    """Whether it is worth asking the engine: it was killed, or a process below it that it (as make
    and gcc do) tells of."""
    return exit_code == 137 or bool(re.search(r"\bkilled\b", said, re.IGNORECASE))


def diagnose(exit_code: int, said: str, *, out_of_memory: bool = False) -> Diagnosis | None:
    """The first sign that fits a script's exit code and last lines; None: nothing typical.

    ``said`` is as it was printed but for colours; ``out_of_memory`` is what the engine says.
    """
    if out_of_memory:
        return OUT_OF_MEMORY
    for sign in _SIGNS:
        if sign.exit_codes and exit_code not in sign.exit_codes:
            continue
        if found := re.search(sign.text, said, re.IGNORECASE | re.MULTILINE):
            return _named(sign.diagnosis, found.groupdict())
    return None


def _named(diagnosis: Diagnosis, groups: Mapping[str, str]) -> Diagnosis:
    if "source" not in groups:
        return diagnosis
    # A login in a source's address is nobody else's business.
    source = re.sub(r"//[^/@\s]+@", "//", groups["source"])[:300]
    return replace(diagnosis, source=source, hint=f"Package source {source}: {diagnosis.hint}")
