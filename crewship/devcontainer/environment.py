"""Environment variables in configs: names, limits, ``${…}`` variables, PATH.

Variables in two times (spec, "Variables in devcontainer.json"): ``${localEnv:X}`` when the text
is read, where this server's environment is nobody's local one and so counts as empty;
``${containerEnv:X}`` and ``${devcontainerId}`` when a container is at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from crewship.devcontainer.findings import Findings, shorten
from crewship.devcontainer.types import Json
from crewship.domain.errors import EnvTooLarge

MAX_ENTRIES: Final = 32
MAX_VALUE_BYTES: Final = 32 * 1024
MAX_TOTAL_BYTES: Final = 64 * 1024  # of all values; far above it no process starts (ENV limit)
MAX_IMAGE_BYTES: Final = 120 * 1024  # all of an image's ENV; at 200 kB no process starts

# What docker gives to a process of an image that sets no PATH.
DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# "{" ends the search for "}", so that a text full of "${" takes linear time.
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_DOCKER_VARIABLE = re.compile(
    r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])([^{}]*))?\})"
)
_ANY_VARIABLE = re.compile(f"{_DOCKER_VARIABLE.pattern}|{_VARIABLE.pattern}")
# Texts that look like credentials, whatever the variable is called.
_TOKEN = re.compile(
    r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|sk-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|crs_[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{30,}"
    r"|eyJ[A-Za-z0-9_-]{8,500}\.eyJ[A-Za-z0-9_-]{8}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|://[^/\s:@]+:[^/\s:@]+@)"
)
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|APIKEY|API_KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS?)$",
    re.IGNORECASE,
)


def read_env(value: Json, path: str, findings: Findings) -> tuple[tuple[str, str], ...]:
    """The entries of a ``containerEnv``, sorted by name (their order has no effect).

    Problems: ``wrong_type``, ``env_name_invalid``, ``env_too_many``, ``env_value_too_large``,
    ``env_too_large``. Warnings: see ``substitute_local``; ``secret_in_env``.
    """
    if value is None:
        return ()
    if not isinstance(value, dict):
        findings.wrong_type(path, "an object of strings", value)
        return ()
    if len(value) > MAX_ENTRIES:
        findings.problem(path, "env_too_many", f"{len(value)} entries, at most {MAX_ENTRIES}")
    out: list[tuple[str, str]] = []
    total = 0
    for name, text in value.items():
        at = f"{path}.{name}"
        if not NAME.fullmatch(name):
            findings.problem(at, "env_name_invalid", "a name has ASCII letters, digits and _ only")
        if not isinstance(text, str):
            findings.wrong_type(at, "a string", text)
            continue
        size = len(text.encode("utf-8"))
        total += size
        if size > MAX_VALUE_BYTES:
            findings.problem(at, "env_value_too_large", f"{size} bytes, at most {MAX_VALUE_BYTES}")
        warn_of_secret(name, text, at, findings)
        out.append((name, substitute_local(text, at, findings, warn_unknown=True)))
    if total > MAX_TOTAL_BYTES:
        findings.problem(path, "env_too_large", f"{total} bytes, at most {MAX_TOTAL_BYTES}")
    return tuple(sorted(out))


def warn_of_secret(name: str, value: str, path: str, findings: Findings) -> None:
    """Warns where a value looks like a credential: it is readable in the image for everyone."""
    named = _SECRET_NAME.search(name) is not None and len(_VARIABLE.sub("", value)) >= 8
    if named or _TOKEN.search(value):
        findings.warn(
            path, "secret_in_env", "looks like a secret; it will be readable in the image"
        )


def substitute_local(
    text: str, path: str, findings: Findings, *, warn_unknown: bool = False
) -> str:
    """``text`` with ``${localEnv:X:default}`` and ``${env:X:default}`` replaced by the default,
    or by nothing, each with the warning ``local_env``.

    As in the reference the default ends at the next colon. ``${containerEnv:X}`` and
    ``${devcontainerId}`` stay for ``expand_env``; everything else stays too, with the warning
    ``unknown_variable`` where ``warn_unknown`` is set (in commands ``${…}`` is the shell's).
    """

    def replace(match: re.Match[str]) -> str:
        kind, *arguments = match.group(1).split(":")
        if kind in {"localEnv", "env"} and arguments and arguments[0]:
            default = arguments[1] if len(arguments) > 1 else ""
            findings.warn(
                path,
                "local_env",
                f"{shorten(match.group())} is {shorten(default)!r} here: "
                "the server has no local environment",
            )
            return default
        kept = kind == "devcontainerId" or (kind == "containerEnv" and any(arguments[:1]))
        if warn_unknown and not kept:
            findings.warn(path, "unknown_variable", f"{shorten(match.group())} stays as it is")
        return match.group()

    return _VARIABLE.sub(replace, text)


def substitute_strings(value: Json, path: str, findings: Findings) -> Json:
    """``substitute_local`` on a string and on the strings of an array; other values as they are."""
    if isinstance(value, str):
        return substitute_local(value, path, findings)
    if isinstance(value, list):
        return [substitute_strings(item, path, findings) for item in value]
    return value


def expand_env(value: str, env: Mapping[str, str], devcontainer_id: str) -> str:
    """``value`` with ``${containerEnv:X[:default]}`` and ``${devcontainerId}`` replaced.

    One pass: what a variable holds is not expanded again. Other ``${…}`` stay. Raises EnvTooLarge.
    """
    return _expand(
        _VARIABLE, lambda match: _spec_variable(match.group(), env, devcontainer_id), value
    )


def expand_feature_env(value: str, env: Mapping[str, str], devcontainer_id: str) -> str:
    """A feature's containerEnv value as the reference's ENV instruction would read it.

    ``$X``, ``${X}``, ``${X:-word}`` and ``${X:+word}`` beside the spec's own variables; unset
    ones are empty. One pass over ``value``. Raises EnvTooLarge.
    """

    def replace(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        if name is None or name == "devcontainerId":
            return _spec_variable(match.group(), env, devcontainer_id)
        held = env.get(name, DEFAULT_PATH if name == "PATH" else "")
        if match.group(3) == "-":
            return held or match.group(4)
        if match.group(3) == "+":
            return match.group(4) if held else ""
        return held

    return _expand(_ANY_VARIABLE, replace, value)


def _spec_variable(text: str, env: Mapping[str, str], devcontainer_id: str) -> str:
    """What ``${…}`` stands for, or itself where it is not one of the spec's."""
    kind, *arguments = text[2:-1].split(":")
    if kind == "devcontainerId" and not arguments:
        return devcontainer_id
    if kind == "containerEnv" and arguments and arguments[0]:
        return env.get(arguments[0], arguments[1] if len(arguments) > 1 else "")
    return text


def _expand(pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], value: str) -> str:
    """``re.sub`` that stops early: values made of each other would grow without end."""
    parts: list[str] = []
    size = at = 0
    for match in pattern.finditer(value):
        parts += [value[at : match.start()], replace(match)]
        size += len(parts[-2]) + len(parts[-1])
        if size > MAX_TOTAL_BYTES:
            break
        at = match.end()
    parts.append(value[at:])
    if size + len(parts[-1]) > MAX_TOTAL_BYTES:
        raise EnvTooLarge(f"{shorten(value)!r} becomes longer than {MAX_TOTAL_BYTES} characters")
    return "".join(parts)


def extend_path(new: str, old: str) -> str:
    """``new`` with those directories of ``old`` appended that it lacks: nothing gets lost.

    Empty parts go: they would stand for the current directory, whatever that is.
    """
    held = [part for part in new.split(":") if part]
    missing = [part for part in old.split(":") if part and part not in held]
    return ":".join([*held, *missing])


def apply_env(env: dict[str, str], entries: Iterable[tuple[str, str]]) -> None:
    """Sets ``entries`` in ``env``, in order; PATH is extended, never replaced."""
    for name, value in entries:
        env[name] = extend_path(value, env.get(name, DEFAULT_PATH)) if name == "PATH" else value


def check_size(
    env: Mapping[str, str], whose: str = "the image's environment", hint: str | None = None
) -> None:
    """Raises EnvTooLarge, in the words given, where no process would start with ``env``."""
    total = sum(len(f"{name}={value}".encode()) + 1 for name, value in env.items())
    if total > MAX_IMAGE_BYTES:
        raise EnvTooLarge(f"{whose} has {total} bytes, at most {MAX_IMAGE_BYTES}", hint=hint)
