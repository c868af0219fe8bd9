"""docs/walkthrough.md, typed into a real server: what the page shows is what happens.

In a ``console`` block ``$`` begins a command and ``>`` continues it; the other lines are what it
prints, stderr after stdout. ``…`` stands for anything, as a line of its own for any lines.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from catalogs.pack import pack_features
from tests.cli.server import BIN, PATIENCE_S
from tests.engine.real import require_engine
from tests.stack.features import NAMESPACE
from tests.stack.server import PROJECT, Stack, running_stack

pytestmark = pytest.mark.cli

PAGE = PROJECT / "docs" / "walkthrough.md"
PAGES_URL = "http://127.0.0.1:8000"
PAGES_TOKEN = "crs_…"
FEATURES = {"base-tools": {}, "db-clients": {"sqlite": {"type": "boolean", "default": False}}}


@dataclass
class Typed:
    command: str
    expected: list[str] = field(default_factory=list)


def typed() -> Iterator[Typed]:
    """The page's commands in order, each with the lines that it prints."""
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        current: Typed | None = None
        for line in block.splitlines():
            if line.startswith("$ "):
                if current:
                    yield current
                current = Typed(line[2:])
            elif current and line.startswith("> ") and not current.expected:
                current.command += f"\n{line[2:]}"
            elif current:
                current.expected.append(line)
        if current:
            yield current


def pattern(lines: list[str]) -> str:
    """What the page shows as a regular expression; widths of columns are not compared."""
    parts = []
    for line in lines:
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
            continue
        words = [".*?".join(map(re.escape, word.split("…"))) for word in line.split()]
        parts.append(r" *" + r" +".join(words) + r" *\n")
    return "".join(parts)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Stack]:
    """As a new user finds it; its two features install nothing, and in no time."""
    require_engine().close()
    for name, options in FEATURES.items():
        place = tmp_path / "features" / name
        place.mkdir(parents=True)
        about = {"id": name, "version": "1.0.0", "name": name, "options": options}
        (place / "devcontainer-feature.json").write_text(json.dumps(about))
        (place / "install.sh").write_text(f"#!/bin/sh\necho {name} > /etc/{name}\n")
    pack_features(tmp_path / "features", tmp_path / "layout", NAMESPACE)
    settings = {
        "CREWSHIP_FEATURE_LAYOUTS": f"{NAMESPACE}={tmp_path / 'layout'}",
        "CREWSHIP_CACHE_SCOPE": "workspace",  # an image that no other test on this engine has
    }
    with running_stack(tmp_path / "data", settings, workers=1) as stack:
        yield stack


class Shell:
    """A new user's bash: a home, a folder, and the exit code of the last command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._status = 0
        (folder / "home").mkdir()
        path = f"{BIN}:/usr/local/bin:/usr/bin:/bin"
        self._env = {"HOME": str(folder / "home"), "PATH": path, "LANG": "C.UTF-8"}

    def type(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", f"(exit {self._status})\n{command}"],
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        self._status = done.returncode
        return done.stdout + done.stderr


def test_the_walk_through_is_true(server: Stack, tmp_path: Path) -> None:
    token = server.bootstrap(email="you@example.com").token
    folder = tmp_path / "work"
    folder.mkdir()
    shell = Shell(folder)
    for step in typed():
        command = step.command.replace(PAGES_URL, server.url).replace(PAGES_TOKEN, token)
        printed = shell.type(command)
        expected = [line.replace(PAGES_URL, server.url) for line in step.expected]
        assert re.fullmatch(pattern(expected), printed), f"$ {step.command}\n{printed}"


def test_the_walk_through_shows_all_that_it_must() -> None:
    commands = " ; ".join(step.command for step in typed())
    for words in (
        *(
            "crewship login",
            "crew create --slug",
            "--config",
            "crew plan",
            "crew provision backend",
        ),
        *("provision status", "cache ls", "cache rm", "crew rebuild"),
    ):
        assert words in commands
