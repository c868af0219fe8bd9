"""An agent's own environment as clients write and read it: values, and secrets that stay inside.

Input is ``{"NAME": "value"}`` or ``{"NAME": {"secret": "value"}}``; a secret is read back as
``{"secret": true}``, and sent like that it stays what it was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from crewship.crews.models import Agent
from crewship.devcontainer.environment import MAX_VALUE_BYTES, NAME
from crewship.devcontainer.findings import Findings, shorten
from crewship.devcontainer.options import is_protected
from crewship.devcontainer.types import Json

MAX_ENTRIES: Final = 64
MAX_NAME: Final = 256  # characters
MAX_TOTAL_BYTES: Final = 64 * 1024  # of all names and values; containerEnv has to fit beside it
SECRET: Final = "secret"  # noqa: S105  # a key, no secret


@dataclass(frozen=True, slots=True)
class AgentEnv:
    """A whole environment as it was sent. No message and no repr of it quotes a secret."""

    plain: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)  # values that are new
    kept: frozenset[str] = frozenset()  # secrets that stay as they are stored

    def touches_secrets(self, stored: Collection[str]) -> bool:
        """Whether a secret is set, replaced or dropped where ``stored`` are there."""
        return bool(self.secrets) or self.kept != frozenset(stored)


def read_env(value: Json, stored: Collection[str], findings: Findings) -> AgentEnv:
    """What was sent, with every problem of it in ``findings``: ``wrong_type``,
    ``env_name_invalid``, ``env_name_too_long``, ``env_protected``, ``env_value_invalid``,
    ``env_value_too_large``, ``env_too_many``, ``env_too_large``, ``secret_unknown`` (none of
    ``stored`` has the name)."""
    if value is None:
        return AgentEnv()
    if not isinstance(value, dict):
        findings.wrong_type("env", "an object", value)
        return AgentEnv()
    if len(value) > MAX_ENTRIES:
        findings.problem("env", "env_too_many", f"{len(value)} entries, at most {MAX_ENTRIES}")
    plain: dict[str, str] = {}
    secrets: dict[str, str] = {}
    kept: set[str] = set()
    for name, entry in value.items():
        at = f"env.{name}"
        _check_name(name, at, findings)
        if isinstance(entry, str):
            plain[name] = entry
        elif isinstance(entry, dict) and set(entry) == {SECRET} and entry[SECRET] is True:
            kept.add(name)
            if name not in stored:
                findings.problem(at, "secret_unknown", "no secret is stored here: send its value")
        elif isinstance(entry, dict) and set(entry) == {SECRET} and isinstance(entry[SECRET], str):
            secrets[name] = entry[SECRET]
        else:
            # The message does not show it: what is malformed may be a secret all the same.
            findings.problem(at, "wrong_type", 'expected a string or {"secret": "value"}')
    _check_values({**dict.fromkeys(kept, ""), **plain, **secrets}, findings)
    return AgentEnv(plain, secrets, frozenset(kept))


def shown_env(agent: Agent, *, with_secrets: bool) -> dict[str, Json]:
    """The environment for reading, sorted by name; secrets by name alone, or left out."""
    secrets = {name: {SECRET: True} for name in agent.secret_names} if with_secrets else {}
    return dict(sorted({**agent.env, **secrets}.items()))


def _check_name(name: str, at: str, findings: Findings) -> None:
    if not NAME.fullmatch(name):
        findings.problem(at, "env_name_invalid", "a name has ASCII letters, digits and _ only")
    elif len(name) > MAX_NAME:
        findings.problem(at, "env_name_too_long", f"{len(name)} characters, at most {MAX_NAME}")
    elif is_protected(name):
        findings.problem(at, "env_protected", f"${shorten(name)} is not for an agent to set")


def _check_values(values: Mapping[str, str], findings: Findings) -> None:
    total = 0
    for name, value in values.items():
        size = len(value.encode("utf-8", "surrogatepass"))
        total += len(name.encode("utf-8", "surrogatepass")) + size
        if "\0" in value:
            findings.problem(f"env.{name}", "env_value_invalid", "a value has no NUL character")
        if size > MAX_VALUE_BYTES:
            findings.problem(
                f"env.{name}", "env_value_too_large", f"{size} bytes, at most {MAX_VALUE_BYTES}"
            )
    if total > MAX_TOTAL_BYTES:
        findings.problem("env", "env_too_large", f"{total} bytes, at most {MAX_TOTAL_BYTES}")
