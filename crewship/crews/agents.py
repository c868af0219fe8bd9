"""Saving agents: what they are to run, and with which environment. Running them is
``provisioning.agents``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import transaction

from crewship.crews.agent_env import AgentEnv, read_env
from crewship.crews.models import Agent, Crew
from crewship.crews.secrets import seal, unseal
from crewship.crews.services import lock_crew
from crewship.devcontainer.findings import Findings
from crewship.domain.errors import Conflict, Forbidden, NotFound
from crewship.domain.roles import Action, Role, may
from crewship.workspaces.audit import AuditAction, note
from crewship.workspaces.models import SLUG_PATTERN

MAX_AGENTS: Final = 100
MAX_COMMAND: Final = 4096  # characters, as for lifecycle commands
_validate_name = RegexValidator(
    SLUG_PATTERN,
    "A name is 2 to 50 of a-z, 0-9, - and _, and begins with a letter or digit.",
)
WRITTEN: Final = ("name", "command", "env", "sealed_env", "secret_names", "updated_at")


class TooManyAgents(Conflict):
    code = "too_many_agents"
    hint = "Delete an agent of the crew first."


@transaction.atomic
def create_agent(crew: Crew, values: Mapping[str, Any], *, actor_role: Role) -> Agent:
    """The agent is stored and does not run yet. Raises ConfigInvalid with every problem at once,
    Forbidden for secrets that the role may not set, TooManyAgents."""
    crew = lock_crew(crew)
    if Agent.objects.filter(crew=crew).count() >= MAX_AGENTS:
        raise TooManyAgents(f"A crew has at most {MAX_AGENTS} agents.")
    agent = Agent(crew=crew)
    _apply(agent, {"name": "", "command": "", **values}, actor_role)
    agent.save(force_insert=True)
    note(AuditAction.AGENT_CREATED, agent, workspace=crew.workspace)
    return agent


@transaction.atomic
def update_agent(agent: Agent, values: Mapping[str, Any], *, actor_role: Role) -> Agent:
    """The fields named in ``values`` are changed, ``env`` as a whole; they take effect when the
    agent is started the next time. Raises as ``create_agent``, NotFound when it was deleted."""
    lock_crew(agent.crew)
    locked = lock_agent(agent)
    _apply(locked, values, actor_role)
    # Only what is written here: the host's watcher writes the other columns meanwhile.
    locked.save(update_fields=WRITTEN)
    note(
        AuditAction.AGENT_CHANGED,
        locked,
        workspace=locked.crew.workspace,
        fields=sorted(values),
        secret_names=locked.secret_names,
    )
    return locked


def lock_agent(agent: Agent) -> Agent:
    """The agent as it is now, nobody else's until the transaction ends; NotFound when it was
    deleted meanwhile."""
    rows = Agent.objects.select_for_update(of=("self",), no_key=True).select_related(
        "crew__workspace"
    )
    locked = rows.filter(pk=agent.pk).first()
    if locked is None:
        raise NotFound(
            "The agent was deleted in this moment.",
            code="agent_not_found",
            hint="List the crew's agents; it may be deleted, or another crew's.",
        )
    return locked


def check_agent(agent: Agent, values: Mapping[str, Any]) -> None:
    """Raises ConfigInvalid as saving would, for whoever may set everything; nothing is stored."""
    findings = Findings()
    _check_fields(agent, values, findings)
    if "env" in values:
        read_env(values["env"], agent.secret_names, findings)
    findings.raise_problems()


def _apply(agent: Agent, values: Mapping[str, Any], actor_role: Role) -> None:
    findings = Findings()
    env = read_env(values["env"], agent.secret_names, findings) if "env" in values else None
    if env is not None and env.touches_secrets(agent.secret_names):
        _require_manage(actor_role)
    _check_fields(agent, values, findings)
    findings.raise_problems()
    agent.name = values.get("name", agent.name)
    agent.command = values.get("command", agent.command)
    if env is not None:
        _set_env(agent, env)


def _require_manage(role: Role) -> None:
    if not may(role, Action.MANAGE):
        raise Forbidden(
            f"Your role {role} does not allow to set or drop secret values.",
            hint='Send {"secret": true} for every secret that is there; those who may manage the '
            "workspace set them.",
        )


def _set_env(agent: Agent, env: AgentEnv) -> None:
    """Raises SecretsUnreadable when a secret is to stay that can't be opened any more."""
    stored = unseal(agent) if env.kept else {}
    secrets = {name: stored[name] for name in env.kept} | env.secrets
    agent.env = env.plain
    agent.secret_names = sorted(secrets)
    agent.sealed_env = seal(agent.pk, secrets)


def _check_fields(agent: Agent, values: Mapping[str, Any], findings: Findings) -> None:
    if "name" in values:
        _check_name(agent, values["name"], findings)
    if "command" in values:
        _check_command(values["command"], findings)


def _check_name(agent: Agent, name: str, findings: Findings) -> None:
    try:
        _validate_name(name)
    except ValidationError as err:
        findings.problem("name", "invalid", " ".join(err.messages))
    taken = Agent.objects.filter(crew_id=agent.crew_id, name=name).exclude(pk=agent.pk)
    if taken.exists():
        findings.problem("name", "name_taken", "Another agent of the crew has it.")


def _check_command(command: str, findings: Findings) -> None:
    if not command.strip():
        findings.problem("command", "required", "An agent needs a command.")
    if len(command) > MAX_COMMAND:
        findings.problem(
            "command", "command_too_long", f"{len(command)} characters, at most {MAX_COMMAND}"
        )
    if "\0" in command:
        findings.problem("command", "command_invalid", "A command has no NUL character.")
