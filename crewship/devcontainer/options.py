"""Options of a feature become the environment of its install.sh.

Values are literal: they are handed to the process, no shell reads them (the reference sources a
file, so ``$(cmd)`` runs there).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from crewship.devcontainer.environment import MAX_VALUE_BYTES
from crewship.devcontainer.findings import Findings, shorten, type_name
from crewship.devcontainer.metadata import scalar_text
from crewship.devcontainer.types import FeatureMetadata, Json, OptionDeclaration
from crewship.domain.errors import Problem

# Names that steer shells, the loader or the builder itself; neither an option nor a feature's
# containerEnv may set them.
_PROTECTED: Final = frozenset(
    {"PATH", "HOME", "IFS", "ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS", "PS4", "CDPATH",
     "GLOBIGNORE", "PROMPT_COMMAND", "APT_CONFIG", "DEBIAN_FRONTEND",
     "_REMOTE_USER", "_REMOTE_USER_HOME", "_CONTAINER_USER", "_CONTAINER_USER_HOME"}
)  # fmt: skip
_SHADOWED: Final = frozenset({"UID", "EUID", "PPID"})  # bash has its own and lets nobody set them

_ODD = re.compile(r"[^A-Za-z0-9_]")
_LEADING = re.compile(r"^[0-9_]+")


def is_protected(name: str) -> bool:
    return name in _PROTECTED or name.startswith(("LD_", "BASH_FUNC_"))


def env_name(option: str) -> str:
    """The variable of an option, by the reference's rule (spec, "Option Resolution").

    Characters outside ASCII letters, digits and ``_`` become ``_`` each, twice beyond the BMP
    (JavaScript sees two units); a leading run of digits and ``_`` becomes one ``_``; upper case.
    """
    units = "".join("__" if char > "\uffff" else char for char in option)
    return _LEADING.sub("_", _ODD.sub("_", units)).upper()


def option_env(
    metadata: FeatureMetadata, options: Mapping[str, Json], path: str, *, shorthand: bool = False
) -> tuple[tuple[tuple[str, str], ...], tuple[Problem, ...]]:
    """The environment (declared options in their order, then the user's own) and the warnings.

    ``shorthand``: the user wrote a string; then an undeclared ``version`` is dropped, as in the
    reference. Warnings: ``option_undeclared``, ``option_type``, ``option_shadowed``. Raises
    ConfigInvalid with an ``option_invalid`` problem for each option that cannot be passed on.
    """
    findings = Findings()
    declared = {option.name: option for option in metadata.options}
    if shorthand and "version" not in declared and "version" in options:
        findings.warn(path, "option_undeclared", "the feature has no version option; not used")
        options = {name: value for name, value in options.items() if name != "version"}
    undeclared = [name for name in options if name not in declared]
    for name in undeclared:
        findings.warn(f"{path}.{name}", "option_undeclared", "the feature declares no such option")
    names = _variables([*declared, *undeclared], path, findings)
    env: list[tuple[str, str]] = []
    for name in names:
        option = declared.get(name) or OptionDeclaration(name, "")
        value = options.get(name, option.default)
        if value is None and name not in options:
            continue
        text = _value_text(option, value, f"{path}.{name}", findings)
        if text is not None:
            env.append((names[name], text))
    findings.raise_problems()
    return tuple(env), tuple(findings.warnings)


def _variables(options: Iterable[str], path: str, findings: Findings) -> dict[str, str]:
    """Option name to variable; a problem where two options meet or a variable is protected."""
    out: dict[str, str] = {}
    owners: dict[str, str] = {}
    for option in options:
        name = env_name(option)
        at = f"{path}.{option}"
        if name in owners:
            message = f"{option!r} and {owners[name]!r} are both ${name}"
            findings.problem(at, "option_invalid", message)
        elif name in {"", "_"}:
            findings.problem(at, "option_invalid", "no variable can have this option's name")
        elif is_protected(name):
            findings.problem(at, "option_invalid", f"the option would replace ${name}")
        elif name in _SHADOWED:
            findings.warn(at, "option_shadowed", f"bash has a ${name} of its own")
        owners.setdefault(name, option)
        out[option] = name
    return out


def _value_text(
    option: OptionDeclaration, value: Json, path: str, findings: Findings
) -> str | None:
    """What install.sh sees; None after a problem. An undeclared option has no type ("")."""
    text = scalar_text(value)
    if option.type == "boolean" and text not in {"true", "false"}:
        findings.problem(path, "option_invalid", f"expected true or false, found {_shown(value)}")
        return None
    if text is None:
        findings.problem(path, "option_invalid", f"expected a string, found {type_name(value)}")
        return None
    if option.enum is not None and text not in option.enum:
        choices = ", ".join(option.enum)
        findings.problem(
            path, "option_invalid", f"{_shown(value)} is not one of {shorten(choices, 200)}"
        )
        return None
    if "\0" in text or len(text.encode("utf-8", "surrogatepass")) > MAX_VALUE_BYTES:
        findings.problem(
            path, "option_invalid", f"at most {MAX_VALUE_BYTES} bytes, and no NUL character"
        )
        return None
    if option.type == "string" and isinstance(value, bool):
        findings.warn(path, "option_type", f'the option is a string; "{text}" is passed')
    return text


def _shown(value: Json) -> str:
    return shorten(repr(value)) if isinstance(value, str) else type_name(value)
