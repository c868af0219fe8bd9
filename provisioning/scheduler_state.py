"""The scheduler's sign of life, and telling open pages when provisioning stops or goes on."""

from __future__ import annotations

from django.db.models.functions import Now

from crewship.web.news import HEALTH, announce
from provisioning.concerns import can_provision
from provisioning.models import SchedulerState

ONLY_ROW = 1


class SchedulerPulse:
    """``beat()`` in each round of the scheduler."""

    def __init__(self) -> None:
        self._could: bool | None = None

    def beat(self) -> None:
        """The scheduler was at work just now; streams look again if provisioning stopped or goes
        on again. A host that dies tells nobody of it, so somebody has to look."""
        SchedulerState.objects.update_or_create(pk=ONLY_ROW, defaults={"heartbeat_at": Now()})
        can = can_provision()
        if can != self._could:
            self._could = can
            announce(HEALTH)
