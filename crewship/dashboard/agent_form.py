"""The form that edits an agent: its name, its command, and its environment as rows.

A stored secret's row says its name and never its value: left empty, the secret is kept. Secret
values that were typed are not written back into a page either, so a refused form asks for them
again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict

from crewship.crews.agent_env import SECRET, shown_env
from crewship.crews.agents import check_agent
from crewship.crews.models import Agent
from crewship.devcontainer.findings import clip
from crewship.devcontainer.types import Json
from crewship.domain.errors import ConfigInvalid, Problem

SPARE_ROWS: Final = 3  # for browsers without JavaScript
_FIELD: Final = re.compile(r"env-([0-9]{1,4})-(name|value|secret|remove)")


@dataclass(slots=True)
class EnvRow:
    name: str = ""
    value: str = field(default="", repr=False)
    secret: bool = False
    stored: bool = False  # a secret of that name is stored; an empty value keeps it
    remove: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def shown_value(self) -> str:
        return "" if self.secret else self.value

    @property
    def counts(self) -> bool:
        return not self.remove and bool(self.name or self.value or self.secret)


@dataclass(slots=True)
class AgentForm:
    """What the fields show, and the problems beside them."""

    name: str
    command: str
    rows: list[EnvRow]
    problems: dict[str, list[str]] = field(default_factory=dict)  # of "name", "command", "env"

    @property
    def bad(self) -> bool:
        return bool(self.problems) or any(row.problems for row in self.rows)

    def ask_again(self) -> None:
        """The page is shown once more, without the secret values that were typed."""
        for row in self.rows:
            if row.secret and row.value:
                kept = ", or the stored one is kept" if row.stored else ""
                row.problems.append(f"Type its value again{kept}: this page does not show it.")

    @property
    def shown_rows(self) -> list[EnvRow]:
        """The rows and some empty ones."""
        return [*self.rows, *(EnvRow() for _ in range(SPARE_ROWS))]


def stored_form(agent: Agent) -> AgentForm:
    """The agent as it is, for who may see the names of its secrets."""
    rows = [
        EnvRow(name, value) if isinstance(value, str) else EnvRow(name, secret=True, stored=True)
        for name, value in shown_env(agent, with_secrets=True).items()
    ]
    return AgentForm(agent.name, agent.command, rows)


def posted_form(agent: Agent, posted: QueryDict) -> AgentForm:
    """What was typed. Problems that only a form has (a name in two rows, a new secret without a
    value) are at their rows already."""
    parts: dict[int, dict[str, str]] = {}
    for key in posted:
        if found := _FIELD.fullmatch(key):
            parts.setdefault(int(found[1]), {})[found[2]] = str(posted[key])
    rows = [row for _, part in sorted(parts.items()) if (row := _posted_row(agent, part)).counts]
    _find_problems(rows)
    command = _as_stored(posted.get("command", "").strip(), agent.command)
    return AgentForm(posted.get("name", "").strip(), command, rows)


def _posted_row(agent: Agent, part: Mapping[str, str]) -> EnvRow:
    name = part.get("name", "").strip()
    return EnvRow(
        name,
        _as_stored(part.get("value", ""), agent.env.get(name, "")),
        secret="secret" in part,
        stored="secret" in part and name in agent.secret_names,
        remove="remove" in part,
    )


def _as_stored(text: str, stored: str) -> str:
    """With the line ends that it had, when nothing else was changed: browsers send CR LF."""
    text = text.replace("\r\n", "\n")
    return stored if text == stored.replace("\r\n", "\n") else text


def _find_problems(rows: Iterable[EnvRow]) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.name in seen:
            row.problems.append("Another row has this name.")
        elif row.secret and not row.stored and not row.value:
            row.problems.append("A new secret needs its value; it is not kept in this page.")
        seen.add(row.name)


def changes(agent: Agent, form: AgentForm) -> dict[str, Any]:
    """The values for ``update_agent``: the fields that differ from what is stored."""
    values: dict[str, Any] = {"name": form.name, "command": form.command, "env": _env(form.rows)}
    stored = {
        "name": agent.name,
        "command": agent.command,
        "env": shown_env(agent, with_secrets=True),
    }
    return {key: value for key, value in values.items() if value != stored[key]}


def _env(rows: Iterable[EnvRow]) -> dict[str, Json]:
    return {row.name: _entry(row) for row in rows}


def _entry(row: EnvRow) -> Json:
    if not row.secret:
        return row.value
    return {SECRET: True if row.stored and not row.value else row.value}


def place_problems(form: AgentForm, problems: Iterable[Problem]) -> None:
    """Each problem is at its field or row; what has neither is the environment's."""
    for problem in problems:
        rows = [row for row in form.rows if clip(f"env.{row.name}") == problem.path]
        if rows:
            rows[0].problems.append(problem.message)
        else:
            place = problem.path if problem.path in ("name", "command") else "env"
            form.problems.setdefault(place, []).append(problem.message)


def find_all_problems(agent: Agent, form: AgentForm) -> None:
    """Beside its own problems, the form has those that saving would find; nothing is stored."""
    try:
        check_agent(agent, changes(agent, form))
    except ConfigInvalid as err:
        place_problems(form, err.problems)
