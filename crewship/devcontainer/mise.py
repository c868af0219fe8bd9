"""A crew's mise config: tools with versions and an environment, from JSON or mise.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from typing import Final

from crewship.devcontainer import jsonc
from crewship.devcontainer.environment import NAME, warn_of_secret
from crewship.devcontainer.findings import Findings, shorten
from crewship.devcontainer.types import Json, MiseSpec, MiseTool
from crewship.domain.errors import ConfigInvalid, Problem

MAX_TEXT_BYTES: Final = 10 * 1024
MAX_TOOLS: Final = 32
MAX_NAME_LENGTH: Final = 200
MAX_VERSION_LENGTH: Final = 128
ROOT: Final = "mise_config"  # the path of problems; the name of the crew's field

# A short name of mise's registry, or a backend and what that backend calls the tool, with mise's
# options in brackets: npm:@antfu/ni, ubi:owner/repo[exe=rg], cargo:https://host/repo.
_TOOL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._+-]*"
    r"|[a-z][a-z0-9-]*:[@A-Za-z0-9][A-Za-z0-9._+/:~-]*(?:\[[A-Za-z0-9._+/:~=,@-]*\])?"
)
# 22, 22.11.0, lts, temurin-21.0.2+13, prefix:1.2, ref:main, sub-1:lts, path:/opt/x
_VERSION = re.compile(
    r"(?:(?:prefix|ref|tag|branch|rev|sub-[0-9.]+):)?[A-Za-z0-9][A-Za-z0-9._+/-]*"
    r"|path:[A-Za-z0-9/~.][A-Za-z0-9._+/~-]*"
)
_TOML_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")


def parse_mise(text: str) -> MiseSpec:
    """The spec of a mise config text, tools and env sorted by name.

    Raises ConfigInvalid with all problems: ``too_large``, ``syntax``, ``wrong_type``,
    ``mise_too_many_tools``, ``mise_tool_invalid``, ``mise_version_invalid``,
    ``env_name_invalid``.
    """
    findings = Findings()
    spec = read_mise_text(text, findings)
    findings.raise_problems()
    return spec


def read_mise_text(text: str, findings: Findings) -> MiseSpec:
    """As ``parse_mise``, with the problems and warnings left in ``findings``."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_TEXT_BYTES:
        findings.problem(ROOT, "too_large", f"{size} bytes, at most {MAX_TEXT_BYTES}")
        return MiseSpec()
    try:
        value = load_mise(text)
    except ConfigInvalid as error:
        findings.problems += [
            replace(p, path=f"{ROOT}.{p.path}" if p.path else ROOT) for p in error.problems
        ]
        return MiseSpec()
    return read_mise(value, ROOT, findings)


def read_mise(value: Json, path: str, findings: Findings) -> MiseSpec:
    """The spec of an already parsed object; ``path`` is where it stands."""
    if not isinstance(value, dict):
        findings.wrong_type(path, "an object", value)
        return MiseSpec()
    for name in value:
        if name not in {"tools", "env"}:
            findings.warn(f"{path}.{name}", "key_ignored", "only tools and env have an effect")
    tools = _read_tools(value.get("tools"), f"{path}.tools", findings)
    env = _read_env(value.get("env"), f"{path}.env", findings)
    return MiseSpec(tools, env)


def is_tool(name: str) -> bool:
    """Whether mise can have a tool of this name."""
    return len(name) <= MAX_NAME_LENGTH and _TOOL.fullmatch(name) is not None


def is_toml(text: str) -> bool:
    """JSON is what begins like it, or is empty; no mise.toml starts with ``{``."""
    start = text.removeprefix("\ufeff").lstrip()
    return bool(start) and not start.startswith(("{", "//", "/*"))


def load_mise(text: str) -> Json:
    """What the text says, whatever that is. Raises ConfigInvalid where it can't be read."""
    if not is_toml(text):
        return jsonc.parse(text)
    try:
        text.encode("utf-8")
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ConfigInvalid([Problem("", "too_deep", "too many levels of nesting", 1, 1)]) from None
    # UnicodeEncodeError, TOMLDecodeError, and a plain ValueError for huge integers and dates.
    except ValueError as error:
        place = _TOML_PLACE.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place else (1, 1)
        message = shorten(_TOML_PLACE.sub("", str(error)).strip(), 200)
        raise ConfigInvalid([Problem("", "syntax", message, line, column)]) from None


def _read_tools(value: Json, path: str, findings: Findings) -> tuple[MiseTool, ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        findings.wrong_type(path, "an object of tools", value)
        return ()
    if len(value) > MAX_TOOLS:
        findings.problem(path, "mise_too_many_tools", f"{len(value)} tools, at most {MAX_TOOLS}")
    tools: list[MiseTool] = []
    for name, versions in value.items():
        at = f"{path}.{name}"
        if not is_tool(name):
            findings.problem(at, "mise_tool_invalid", f"{shorten(name)!r} is no tool of mise")
        tools.append(MiseTool(name, _read_versions(versions, at, findings)))
    return tuple(sorted(tools, key=lambda tool: tool.name))


def _read_versions(value: Json, path: str, findings: Findings) -> tuple[str, ...]:
    """Versions in the order of the text (mise takes the first as the default), each once."""
    items = value if isinstance(value, list) else [value]
    if not items:
        findings.problem(path, "mise_version_invalid", "the array names no version")
    versions: list[str] = []
    for item in items:
        if isinstance(item, dict) and set(item) == {"version"}:  # mise.toml's long form
            item = item["version"]
        if isinstance(item, float):
            findings.problem(
                path, "mise_version_invalid", "write the version in quotes: 3.10 would become 3.1"
            )
            continue
        item = _as_text(item)
        if not isinstance(item, str):
            findings.wrong_type(path, "a version or an array of versions", item)
        elif item and (len(item) > MAX_VERSION_LENGTH or not _VERSION.fullmatch(item)):
            findings.problem(
                path, "mise_version_invalid", f"{shorten(item)!r} is no version mise reads"
            )
        elif item not in versions:
            versions.append(item)
    return tuple(versions)


def _read_env(value: Json, path: str, findings: Findings) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        findings.wrong_type(path, "an object of strings", value)
        return ()
    env: list[tuple[str, str]] = []
    for name, text in value.items():
        at = f"{path}.{name}"
        if name == "_" or not NAME.fullmatch(name):
            findings.problem(at, "env_name_invalid", "not the name of an environment variable")
        text = _as_text(text)
        if not isinstance(text, str) or "\0" in text:
            findings.wrong_type(at, "a string without NUL", text)
            continue
        if "{{" in text:
            findings.warn(at, "unknown_variable", "mise's templates are not evaluated here")
        warn_of_secret(name, text, at, findings)
        env.append((name, text))
    return tuple(sorted(env))


def _as_text(value: Json) -> Json:
    """An integer in digits. One that is longer than JSON's may be stays a number: in hexadecimal
    TOML has them without end, and str() refuses them."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_integer and abs(value) < 10**jsonc.MAX_NUMBER_LENGTH else value
