"""No process grows with the work that it did: 300 builds, 3,000 hits, 50 agents restarted 10 times.

``CREWSHIP_SOAK_SCALE=0.1`` does a tenth, ``CREWSHIP_SOAK_MINUTES`` bounds the time.
"""

from __future__ import annotations

import os

import pytest

from tests.engine.real import require_engine
from tests.soak.soak import run

pytestmark = [pytest.mark.engine, pytest.mark.long]
SCALE = float(os.environ.get("CREWSHIP_SOAK_SCALE", "1"))
MINUTES = float(os.environ.get("CREWSHIP_SOAK_MINUTES", "90"))


@pytest.mark.timeout(int(MINUTES * 60) + 1800)
def test_memory_and_files_stay_within_their_bounds() -> None:
    require_engine().close()
    report = run(SCALE, MINUTES * 60, print)
    print(report.table())
    assert report.problems() == []
