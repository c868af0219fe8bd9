"""A crew that was deleted between the look-up and the change."""

from __future__ import annotations

import pytest

from crewship.crews.models import Crew
from crewship.crews.services import update_crew
from crewship.domain.errors import NotFound
from tests.cast import Cast


def test_a_change_of_a_deleted_crew_finds_nothing(cast: Cast) -> None:
    crew = cast.crew
    Crew.objects.filter(pk=crew.pk).delete()
    with pytest.raises(NotFound):
        update_crew(crew, {"name": "new"})
