"""Saving crews: the texts are checked as a whole, kept byte for byte, and hashed."""

from __future__ import annotations

import copy
import logging
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from crewship.crews.models import Crew
from crewship.devcontainer.config import default_devcontainer_text, read_crew
from crewship.devcontainer.hashing import config_hash
from crewship.devcontainer.types import CrewSpec
from crewship.domain.errors import ConfigInvalid, NotFound, Problem
from crewship.web.news import announce
from crewship.workspaces.audit import AuditAction, note
from crewship.workspaces.limits import lock_workspace, refuse_beyond
from crewship.workspaces.models import Workspace

log = logging.getLogger(__name__)

TEXTS = ("devcontainer_config", "mise_config", "lock_config")
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp"})  # controls, bidi and zero width, line ends
_JOINERS = frozenset("\u200c\u200d")  # unseen too, but Persian and many emoji are made with them
AGENT_LIMITS = ("agent_memory_mb", "agent_cpus", "agent_pids")
FIELDS = ("name", "slug", "runtime_image", *TEXTS, "auto_provision", *AGENT_LIMITS)


def scope_key(workspace: Workspace) -> str:
    """What CREWSHIP_CACHE_SCOPE mixes into this workspace's hashes: nothing, or its own key."""
    return workspace.cache_key if settings.CREWSHIP.cache_scope == "workspace" else ""


def crew_spec(crew: Crew) -> CrewSpec | None:
    """What the crew's stored texts say; None for a crew with nothing to provision.

    Raises ConfigInvalid, also for a text that was fine when it was saved: rules may have changed.
    """
    if crew.devcontainer_config is None:
        if crew.lock_config is not None:  # kept for the config to come, and checked now
            read_crew("{}", None, None, settings.CREWSHIP.policy, crew.lock_config)
        return None
    return read_crew(
        crew.devcontainer_config,
        crew.mise_config,
        crew.runtime_image or None,
        settings.CREWSHIP.policy,
        crew.lock_config,
    )


def crew_hash(crew: Crew, spec: CrewSpec) -> str:
    return config_hash(spec, scope_key(crew.workspace))


@transaction.atomic
def create_crew(
    workspace: Workspace, values: Mapping[str, Any]
) -> tuple[Crew, tuple[Problem, ...]]:
    """The crew is stored with its hash; the second part lists what is legal but has no effect.

    Raises ConfigInvalid with every problem of the fields and both texts at once, LimitReached.
    """
    lock_workspace(workspace)
    count = Crew.objects.filter(workspace=workspace).count()
    refuse_beyond(settings.CREWSHIP.limits.crews_per_workspace, count, "crews", of=workspace.slug)
    return _save(Crew(workspace=workspace), values)


@transaction.atomic
def update_crew(crew: Crew, values: Mapping[str, Any]) -> tuple[Crew, tuple[Problem, ...]]:
    """The fields named in ``values`` are changed, others stay. A changed hash empties
    ``cached_image``; a text that means the same keeps it."""
    locked = lock_crew(crew)
    return _save(locked, values)


def check_crew(crew: Crew, values: Mapping[str, Any]) -> tuple[Problem, ...]:
    """What saving would warn about, with nothing changed; raises ConfigInvalid as saving would."""
    return _apply(copy.copy(crew), values)


def spec_with(crew: Crew, values: Mapping[str, Any]) -> CrewSpec | None:
    """What the crew's texts would say with these in their place, with nothing changed; None for
    nothing to provision. Raises ConfigInvalid as saving would."""
    draft = copy.copy(crew)
    for name in ("runtime_image", *TEXTS):
        if name in values:
            setattr(draft, name, values[name] or None)
    draft.runtime_image = draft.runtime_image or ""
    return _filled_spec(draft)


def lock_crew(crew: Crew) -> Crew:
    """The crew as it is now, nobody else's until the transaction ends; NotFound when it was
    deleted meanwhile. Who needs the workspace's lock, too, takes that one first."""
    # Only the crew's row: the join would lock the workspace after it, the wrong way round.
    rows = Crew.objects.select_for_update(of=("self",), no_key=True).select_related("workspace")
    locked = rows.filter(pk=crew.pk).first()
    if locked is None:
        raise NotFound(
            "The crew was deleted in this moment.",
            code="crew_not_found",
            hint="List the workspace's crews: this one is gone.",
        )
    return locked


def lock_crews(ids: Iterable[str]) -> set[str]:
    """The crews of these ids are nobody else's until the transaction ends; those that still exist.
    For an act on several: one after the other, in another order, would be a deadlock."""
    rows = Crew.objects.select_for_update(no_key=True).filter(pk__in=set(ids))
    return set(rows.order_by("pk").values_list("pk", flat=True))


def _save(crew: Crew, values: Mapping[str, Any]) -> tuple[Crew, tuple[Problem, ...]]:
    before = {name: getattr(crew, name) for name in (*FIELDS, "config_hash")}
    is_new = crew._state.adding
    warnings = _apply(crew, values)
    crew.save()
    _note_save(crew, {} if is_new else before)
    announce(f"workspace:{crew.workspace_id}")
    return crew, warnings


def _note_save(crew: Crew, before: Mapping[str, Any]) -> None:
    """The audit trail has which fields changed, not what is in them."""
    if not before:
        note(AuditAction.CREW_CREATED, crew, workspace=crew.workspace)
        return
    fields = [name for name in FIELDS if getattr(crew, name) != before[name]]
    if crew.config_hash != before["config_hash"]:
        hashes = {"from": before["config_hash"], "to": crew.config_hash}
        note(
            AuditAction.CREW_CONFIG_CHANGED,
            crew,
            workspace=crew.workspace,
            fields=fields,
            config_hash=hashes,
        )
    elif fields:
        note(AuditAction.CREW_CHANGED, crew, workspace=crew.workspace, fields=fields)


def _apply(crew: Crew, values: Mapping[str, Any]) -> tuple[Problem, ...]:
    for name in FIELDS:
        if name in values:
            setattr(crew, name, values[name])
    for name in TEXTS:
        setattr(crew, name, getattr(crew, name) or None)
    crew.runtime_image = crew.runtime_image or ""
    problems = _field_problems(crew)
    warnings: tuple[Problem, ...] = ()
    new_hash: str | None = None
    try:
        spec = _filled_spec(crew)
        if spec is not None:
            warnings, new_hash = spec.warnings, crew_hash(crew, spec)
    except ConfigInvalid as err:
        problems += err.problems
    if problems:
        raise ConfigInvalid(problems)
    if new_hash != crew.config_hash:
        crew.config_hash, crew.cached_image = new_hash, None
    return warnings


def _filled_spec(crew: Crew) -> CrewSpec | None:
    """As ``crew_spec``; a crew with a runtime_image or mise_config and no devcontainer config gets
    a default one, whose image nobody wrote: what is wrong with it is said of the runtime_image."""
    if crew.devcontainer_config is not None or not (crew.runtime_image or crew.mise_config):
        return crew_spec(crew)
    crew.devcontainer_config = default_devcontainer_text(
        crew.runtime_image or None, settings.CREWSHIP.policy
    )
    try:
        return crew_spec(crew)
    except ConfigInvalid as err:
        written = [problem for problem in err.problems if problem.path != "image"]
        raise ConfigInvalid(written or err.problems) from err


def _field_problems(crew: Crew) -> list[Problem]:
    problems: list[Problem] = []
    try:
        crew.clean_fields(exclude=["workspace", *TEXTS])
    except ValidationError as err:
        problems += [
            Problem(path=name, code=str(error.code or "invalid"), message=" ".join(error.messages))
            for name, errors in err.error_dict.items()
            for error in errors
        ]
    problems += _above_the_installations(crew)
    if any(unicodedata.category(char) in _UNSEEN for char in set(crew.name) - _JOINERS):
        problems.append(
            Problem("name", "control_character", "A name has no control or invisible characters.")
        )
    taken = Crew.objects.filter(workspace=crew.workspace, slug=crew.slug).exclude(pk=crew.pk)
    if taken.exists():
        problems.append(Problem("slug", "slug_taken", "Another crew of the workspace has it."))
    return problems


def _above_the_installations(crew: Crew) -> list[Problem]:
    """What an agent gets where its crew says nothing is the most that a crew may give it."""
    usual = settings.CREWSHIP.agents
    most = dict(zip(AGENT_LIMITS, (usual.memory_mb, usual.cpus, usual.pids), strict=True))
    return [
        Problem(name, "max_value", f"At most {limit:g} on this installation.")
        for name, limit in most.items()
        if (value := getattr(crew, name)) is not None and value > limit
    ]


def refresh_hashes() -> int:
    """Every stored hash is what this version computes; returns how many were stale.

    Run once at start: a new generator version changes hashes, and a status must not show an old
    one. A text that is not legal any more keeps its old hash and is refused when provisioned.
    """
    stale = 0
    for crew in Crew.objects.exclude(devcontainer_config=None).select_related("workspace"):
        try:
            stale += _refresh_hash(crew)
        except ConfigInvalid:
            continue
        except DatabaseError:
            raise
        except Exception:  # one crew's text that trips us up must not keep the others'
            log.exception("%s: its hash could not be refreshed", crew.pk)
    return stale


def _refresh_hash(crew: Crew) -> bool:
    spec = crew_spec(crew)
    if spec is None or crew_hash(crew, spec) == crew.config_hash:
        return False
    Crew.objects.filter(pk=crew.pk, config_hash=crew.config_hash).update(
        config_hash=crew_hash(crew, spec), cached_image=None
    )
    return True
