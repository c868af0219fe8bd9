"""Saving a crew from wherever it is edited, and what follows: a crew with ``auto_provision`` is
provisioned when its config means something new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from crewship.crews.models import Crew
from crewship.crews.services import create_crew, update_crew
from crewship.domain.errors import CrewshipError, Problem
from crewship.workspaces.limits import lock_workspace
from crewship.workspaces.models import User, Workspace
from provisioning.models import ProvisionJob
from provisioning.services import cancel_provision, request_provision
from provisioning.states import ACTIVE

SUPERSEDED = "superseded by a newer config"


@dataclass(frozen=True, slots=True)
class Saved:
    """The crew as it is stored now, and what is worth saying: texts without effect, and why
    nothing was started for it. ``job`` is what was started, if anything."""

    crew: Crew
    warnings: tuple[Problem, ...]
    job: ProvisionJob | None = None


def save_crew(place: Workspace | Crew, values: Mapping[str, Any], *, actor: User | None) -> Saved:
    """A new crew in the workspace, or the crew with ``values`` in place of what it had.

    With ``auto_provision``, a new meaning of the config (or the switch itself) requests a
    provision. A job of an older config is cancelled for it, also one that runs: its finished
    layers serve the next. That nothing could be started fails no save, it is a warning.

    Raises ConfigInvalid with every problem of the fields and texts, NotFound.
    """
    if isinstance(place, Workspace):
        crew, warnings = create_crew(place, values)
        before = None
    else:
        before = Crew.objects.filter(pk=place.pk).values("config_hash", "auto_provision").first()
        with transaction.atomic():
            lock_workspace(place.workspace)  # a caller's transaction may go on to a start
            crew, warnings = update_crew(place, values)
    same = {"config_hash": crew.config_hash, "auto_provision": True}
    if not crew.auto_provision or crew.config_hash is None or crew.cached_image or before == same:
        return Saved(crew, warnings)
    try:
        job = _provision_newest(crew, actor)
    except CrewshipError as err:
        reason = Problem("auto_provision", err.error_code, f"Not provisioned: {err.message}")
        return Saved(crew, (*warnings, reason))
    crew.refresh_from_db()  # a hit has linked it
    return Saved(crew, warnings, job)


@transaction.atomic
def _provision_newest(crew: Crew, actor: User | None) -> ProvisionJob | None:
    """The crew's active job is one of its present config. A refused start (CrewshipError) leaves
    the job of the older config as it is."""
    lock_workspace(crew.workspace)
    active = ProvisionJob.objects.filter(crew=crew, state__in=ACTIVE).first()
    if active is not None:
        if active.config_hash == crew.config_hash:
            return None
        cancel_provision(crew, message=SUPERSEDED)
    return request_provision(crew=crew, actor=actor)
