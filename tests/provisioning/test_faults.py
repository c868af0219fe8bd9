from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.core.checks import run_checks

from provisioning.faults import VARIABLE, FaultPoint, fault_point

POINT = FaultPoint.AFTER_COMMIT


def _held(directory: Path) -> Thread:
    thread = Thread(target=fault_point, args=(POINT, directory), daemon=True)
    thread.start()
    return thread


def test_without_the_variable_an_armed_point_holds_nobody(tmp_path: Path) -> None:
    armed = tmp_path / f"{POINT}.armed"
    armed.touch()
    code = (
        "from provisioning.faults import FaultPoint, fault_point;"
        "fault_point(FaultPoint.AFTER_COMMIT)"
    )
    env = {key: value for key, value in os.environ.items() if key != VARIABLE}
    subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, check=True, timeout=60)
    assert armed.exists()


def test_a_point_that_is_not_armed_holds_nobody(tmp_path: Path) -> None:
    (tmp_path / f"{FaultPoint.BEFORE_TAG}.armed").touch()
    fault_point(POINT, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["before-tag.armed"]


def test_an_armed_point_holds_the_first_process_until_it_is_let_go(tmp_path: Path) -> None:
    (tmp_path / f"{POINT}.armed").touch()
    reached = tmp_path / f"{POINT}.reached"
    first = _held(tmp_path)
    while not (reached.exists() and reached.read_text()):
        assert first.is_alive()
    assert reached.read_text() == str(os.getpid())
    fault_point(POINT, tmp_path)  # a second one goes by
    reached.unlink()
    first.join(30)
    assert not first.is_alive()


def test_a_deployment_with_fault_points_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> list[Any]:
        messages = run_checks(include_deployment_checks=True)
        return [message for message in messages if message.id == "crewship.W002"]

    monkeypatch.delenv(VARIABLE, raising=False)
    assert not found()
    monkeypatch.setenv(VARIABLE, "/somewhere")
    assert found()
