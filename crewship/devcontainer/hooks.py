"""Lifecycle commands: the three forms of the spec as one ``Hook``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crewship.devcontainer.environment import substitute_strings
from crewship.devcontainer.findings import Findings
from crewship.devcontainer.types import Hook, HookCommand, HookName, Json

MAX_ENTRY_LENGTH: Final = 4096  # characters; of an array: of all its strings together
MAX_ENTRIES: Final = 64  # they all run at once


def read_hook(name: HookName, value: Json, path: str, findings: Findings) -> Hook | None:
    """The hook that ``value`` describes; None for null and for forms that run nothing.

    A string runs by ``/bin/sh -c``, an array without a shell, the entries of an object side by
    side. Problems: ``wrong_type``, ``hook_invalid``, ``hook_too_long``, ``hook_too_many``.
    """
    if isinstance(value, dict):
        if len(value) > MAX_ENTRIES:
            message = f"{len(value)} commands side by side, at most {MAX_ENTRIES}"
            findings.problem(path, "hook_too_many", message)
        pairs = [(entry, command, f"{path}.{entry}") for entry, command in value.items()]
    else:
        pairs = [("", value, path)]
    entries = [_read_entry(*pair, findings) for pair in pairs]
    commands = tuple(entry for entry in entries if entry is not None)
    return Hook(name, commands) if commands else None


def read_hooks(raw: Mapping[str, Json], findings: Findings, path: str = "") -> tuple[Hook, ...]:
    """All lifecycle commands of ``raw``, in the order in which they run."""
    found = [
        read_hook(name, raw.get(name.value), f"{path}{name.value}", findings) for name in HookName
    ]
    return tuple(hook for hook in found if hook is not None)


def _read_entry(name: str, value: Json, path: str, findings: Findings) -> HookCommand | None:
    if value is None or value == "":
        return None
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        findings.wrong_type(path, "a string or an array of strings", value)
        return None
    if not words or not words[0]:
        findings.problem(path, "hook_invalid", "the array names no program")
        return None
    length = sum(len(word) for word in words)
    if length > MAX_ENTRY_LENGTH:
        findings.problem(path, "hook_too_long", f"{length} characters, at most {MAX_ENTRY_LENGTH}")
        return None
    if any("\0" in word for word in words):
        findings.problem(path, "hook_invalid", "a NUL character")
        return None
    words = substitute_strings(words, path, findings)
    if isinstance(value, str):
        return HookCommand(name, shell=words[0])
    return HookCommand(name, argv=tuple(words))
