"""A client that a generator made from the server's own OpenAPI document works against it.

The generator has a virtual environment of its own: what it depends on does not go with ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.server import BIN, Cli

pytestmark = pytest.mark.cli

PROGRAM = """
import json, sys, time
from made.client import AuthenticatedClient
from made.api.crews import crews_create, crews_destroy, crews_list, crews_retrieve
from made.api.provisioning import crews_jobs_list, crews_provision_create, crews_provision_retrieve
from made.models import CrewInputRequest
from made.types import UNSET

url, token, slug, config = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)
said = {}
body = CrewInputRequest(name="Generated", slug=slug, devcontainer_config=config)
crew = crews_create.sync(client=client, body=body)
said["started"] = crews_provision_create.sync(crew.id, client=client).status
deadline = time.monotonic() + 120
while time.monotonic() < deadline:
    status = crews_provision_retrieve.sync(crew.id, client=client)
    if status.status in ("completed", "failed"):
        break
    time.sleep(0.3)
said["status"] = str(status.status.value)
said["image"] = status.cached_image
said["no_error"] = status.error is UNSET
said["jobs"] = [job.state.value for job in crews_jobs_list.sync(crew.id, client=client).results]
said["listed"] = crew.id in [one.id for one in crews_list.sync(client=client).results]
said["deleted"] = crews_destroy.sync_detailed(crew.id, client=client).status_code.value
problem = crews_retrieve.sync(crew.id, client=client)
said["problem"] = [problem.status, problem.code]
print(json.dumps(said))
"""


def test_a_generated_client_makes_builds_and_deletes_a_crew(cli: Cli, tmp_path: Path) -> None:
    document = tmp_path / "schema.json"
    document.write_text(cli.api.http.get("/schema").text)
    python = install("openapi-python-client", tmp_path / "venv")
    generate = [python.with_name("openapi-python-client"), "generate", "--fail-on-warning"]
    run(*generate, "--path", document, "--meta", "none", "--output-path", tmp_path / "made")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    config = json.dumps({"image": "debian:bookworm-slim", "containerEnv": {"MADE_BY": "client"}})
    said = json.loads(run(python, program, cli.stack.url, cli.api.token, "generated", config))
    assert said.pop("image").startswith("crewship-cache:")
    assert said == {
        "started": "started",
        "status": "completed",
        "no_error": True,
        "jobs": ["completed"],
        "listed": True,
        "deleted": 204,
        "problem": [404, "crew_not_found"],
    }


def install(package: str, place: Path) -> Path:
    """The interpreter of a virtual environment that has the package."""
    uv = BIN / "uv"
    run(uv, "venv", "--quiet", "--python", sys.executable, place)
    python = place / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--python", python, package)
    return python


def run(*argv: Any) -> str:
    """What it printed; AssertionError with what it complained about."""
    path = {"PATH": f"{BIN}:{os.environ['PATH']}"}  # the generator formats with our ruff
    done = subprocess.run(
        [str(part) for part in argv], capture_output=True, text=True, env={**os.environ, **path}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
