"""An environment variable that can't be used is a line that names it, whatever the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
CREWSHIP = str(Path(sys.executable).with_name("crewship"))
COMMANDS = {
    "start": [CREWSHIP, "start"],
    "plan": [CREWSHIP, "plan", "--config", "devcontainer.json"],
    "demo": [CREWSHIP, "demo", "--once"],
    "manage.py": [sys.executable, str(PROJECT / "manage.py"), "check"],
}
SETTINGS = {"CREWSHIP_JOB_TIMEOUT": "soon", "CREWSHIP_DATABASE_URL": "mysql://x"}
# The demo leaves the database to the server that it starts.
CASES = [(c, v) for c in COMMANDS for v in SETTINGS if (c, v) != ("demo", "CREWSHIP_DATABASE_URL")]


@pytest.mark.parametrize(("command", "variable"), CASES)
def test_a_bad_setting_is_named_in_a_line(command: str, variable: str, tmp_path: Path) -> None:
    (tmp_path / "devcontainer.json").write_text("{}")
    usual = {k: v for k, v in os.environ.items() if not k.startswith(("CREWSHIP_", "DJANGO_"))}
    done = subprocess.run(
        COMMANDS[command],
        env={**usual, "CREWSHIP_DATA_DIR": str(tmp_path / "data"), variable: SETTINGS[variable]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (1, 2)
    assert variable in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
