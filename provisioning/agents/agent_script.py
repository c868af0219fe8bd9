"""The one text that an agent's first process reads: environment, what runs at start, command.

Environment and secrets come this way and not by the container's config, which ``docker inspect``
shows to everybody with the engine's socket. The text is for any POSIX shell; every value in it is
quoted, none is ever evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from crewship.devcontainer.types import Hook, HookCommand

# Reads the text to its end, then becomes it. Without a whole text nothing runs: see ``{`` below.
READ_SCRIPT: Final = ("/bin/sh", "-c", 'eval "$(cat)"')
OURS: Final = "crewship:"  # how lines of ours begin in an agent's log
# An agent without a command is held open, to be worked in by others.
HOLD_OPEN: Final = "while :; do sleep 3600 & wait; done"


def agent_script(
    env: Mapping[str, str],
    entrypoints: Sequence[str],
    hooks: Iterable[tuple[str, Hook]],
    command: str,
) -> str:
    """``hooks`` are pairs of a title and a hook. As in the reference, entrypoints come first, one
    after another, then the hooks, then the command takes the process over; what fails on the way
    is said in the log and keeps nothing from going on."""
    lines = ["{"]  # a text that was cut off is a syntax error, and not a half-set environment
    lines.append("exec 2>&1")  # by two pipes the engine's log would not be in the order written
    # `command`: a name that this shell keeps for itself (UID in bash) must not end it.
    lines += [f"command export {name}={quoted(value)}" for name, value in env.items()]
    for entrypoint in entrypoints:
        lines.append(f"{_child(_shell(entrypoint))} || {_warn(f'the entrypoint {entrypoint}')}")
    for title, hook in hooks:
        lines += _hook_lines(title, hook)
    lines += [f"exec {_words(_shell(command or HOLD_OPEN))} </dev/null", "}"]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _hook_lines(title: str, hook: Hook) -> list[str]:
    """Entries of the object form run side by side, and all are awaited."""
    lines = [f"printf '%s\\n' {quoted(f'{OURS} running {title}')}"]
    if len(hook.entries) == 1:
        (entry,) = hook.entries
        return [*lines, f"{_child(entry.process())} || {_warn(_name(title, entry))}"]
    numbered = list(enumerate(hook.entries))
    lines += [f"{_child(entry.process())} & _crewship_{n}=$!" for n, entry in numbered]
    lines += [f'wait "$_crewship_{n}" || {_warn(_name(title, entry))}' for n, entry in numbered]
    return lines


def _name(title: str, entry: HookCommand) -> str:
    return f"{title} ({entry.name})" if entry.name else title


def _shell(command: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", command)


def _child(argv: Sequence[str]) -> str:
    # `exec` in a subshell: never a builtin of this shell, whatever the first word is.
    return f"(exec {_words(argv)}) </dev/null"


def _words(argv: Sequence[str]) -> str:
    return " ".join(map(quoted, argv))


def _warn(what: str) -> str:
    said = " ".join(f"{OURS} warning: {what} ended with exit code".split())
    return f"printf '%s %s\\n' {quoted(said)} \"$?\""
