"""Deleting crews and workspaces, with what they have running; volumes only when that is said."""

from __future__ import annotations

from enum import StrEnum

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from crewship.crews.models import Crew
from crewship.domain.errors import Conflict
from crewship.web.news import announce
from crewship.workspaces.audit import AuditAction, note
from crewship.workspaces.limits import lock_workspace
from crewship.workspaces.models import Workspace
from provisioning.finish import lock_crews_around
from provisioning.models import AgentVolume
from provisioning.services import cancel_provision
from provisioning.states import ACTIVE


class Volumes(StrEnum):
    """What becomes of the data of a crew's agents."""

    KEEP = "keep"
    DELETE = "delete"


class VolumesExist(Conflict):
    code = "volumes_exist"
    hint = "Say what becomes of them: ?volumes=keep or ?volumes=delete."


def delete_crew(crew: Crew, *, volumes: Volumes | None = None) -> None:
    """The crew, its jobs and agents are gone from our records; an active job is cancelled first,
    so that its worker stops and jobs that followed it go on. What runs on the host is removed by
    its watcher (``agents.removals.await_removal`` waits for that).

    Raises VolumesExist, with their names as ``volumes``, while there are any and nothing was said.
    """
    with transaction.atomic():
        lock_workspace(crew.workspace)  # no start in between
        lock_crews_around([crew.pk])
        kept = AgentVolume.objects.filter(crew_id=crew.pk, delete_at=None)
        if volumes is None:
            _refuse_if_any(kept.values_list("name", flat=True))
        if volumes is Volumes.DELETE:
            kept.update(delete_at=timezone.now())
        cancel_provision(crew)
        note(AuditAction.CREW_DELETED, crew, workspace=crew.workspace)
        Crew.objects.filter(pk=crew.pk).delete()
        announce(f"crew:{crew.pk}", f"workspace:{crew.workspace_id}")


@transaction.atomic
def delete_workspace(workspace: Workspace) -> None:
    """The workspace and all that is in it are gone; active jobs are cancelled first, so that
    their workers stop and other workspaces' jobs that followed them go on. Raises VolumesExist
    while a crew has volumes: what becomes of them is said crew by crew."""
    lock_workspace(workspace)  # no start comes in between
    crews = Crew.objects.filter(workspace=workspace)
    lock_crews_around(crews.values_list("pk", flat=True))
    volumes = AgentVolume.objects.filter(crew_id__in=crews.values("pk"), delete_at=None)
    _refuse_if_any(
        volumes.values_list("name", flat=True),
        hint="Delete its crews first, and say for each what becomes of its volumes.",
    )
    for crew in crews.filter(jobs__state__in=ACTIVE):
        cancel_provision(crew)
    note(AuditAction.WORKSPACE_DELETED, workspace, workspace=workspace)
    workspace.delete()


class VolumeInUse(Conflict):
    code = "volume_in_use"
    hint = "Delete the crew, and say that its volumes go."


def give_up_volume(volume: AgentVolume) -> None:
    """The volume that a deleted crew left is to be removed by its host's watcher. Raises
    VolumeInUse while the crew is there: its agents may write to it at any time."""
    if Crew.objects.filter(pk=volume.crew_id).exists():
        raise VolumeInUse(f"The crew of the volume {volume} is still there.")
    AgentVolume.objects.filter(pk=volume.pk, delete_at=None).update(delete_at=timezone.now())


def _refuse_if_any(volumes: QuerySet[AgentVolume, str], hint: str | None = None) -> None:
    names = sorted(volumes)
    if names:
        shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
        raise VolumesExist(
            f"There are volumes with agents' data: {shown}.", hint=hint, extra={"volumes": names}
        )
