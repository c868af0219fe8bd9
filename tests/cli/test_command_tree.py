"""The tree of commands: what is listed is what runs, and listing it costs and leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crewship.cli.lazy import Lazy
from crewship.cli.main import COMMANDS, app

CREWSHIP = str(Path(sys.executable).with_name("crewship"))


def walk(table: Mapping[str, Lazy], *above: str) -> Iterator[tuple[tuple[str, ...], Lazy]]:
    for name, lazy in table.items():
        yield (*above, name), lazy
        yield from walk(lazy.table or {}, *above, name)


TREE = list(walk(COMMANDS))


@pytest.mark.parametrize(("path", "lazy"), TREE, ids=[" ".join(path) for path, _ in TREE])
def test_a_command_is_listed_with_the_help_that_it_has(path: tuple[str, ...], lazy: Lazy) -> None:
    loaded = lazy.load(path[-1])
    assert loaded.help.partition("\n\n")[0].replace("\n", " ") == lazy.help


@pytest.mark.parametrize("path", [path for path, _ in TREE], ids=" ".join)
def test_a_command_explains_itself_without_a_server_or_a_trace(
    path: tuple[str, ...], tmp_path: Path
) -> None:
    done = run(tmp_path, *path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"crewship {' '.join(path)}" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_typo_is_answered_with_the_command_that_was_meant() -> None:
    result = CliRunner().invoke(app, ["plna"])
    assert result.exit_code == 2
    assert "plan" in result.output


def test_base_images_need_no_server() -> None:
    result = CliRunner().invoke(app, ["features", "base-images", "--json"])
    first = json.loads(result.output)["base_images"][0]
    assert (first["image"].rpartition("/")[2], first["recommended"]) == (
        "javascript-node:22-bookworm",
        True,
    )


def test_gc_away_from_the_server_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "cache", "gc")
    assert (done.returncode, done.stdout) == (2, "")
    assert "server's machine" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("crewship cre", {"crew"}),
        ("crewship crew pro", {"provision"}),
        ("crewship crew provision st", {"status"}),
        ("crewship cache ", {"ls", "rm", "gc"}),
        ("crewship features --h", {"--help"}),
        ("crewship crew show back", set()),  # nobody is logged in: no error, no slug
    ],
)
def test_the_shell_completes_commands(typed: str, completed: set[str], tmp_path: Path) -> None:
    asked = {
        "_CREWSHIP_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split(" ")) - 1),
    }
    done = run(tmp_path, **asked)
    assert (set(done.stdout.split()), done.stderr) == (completed, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown_for(shell: str, tmp_path: Path) -> None:
    done = run(tmp_path, "--show-completion", shell)
    assert done.returncode == 0
    assert "_CREWSHIP_COMPLETE" in done.stdout


def run(folder: Path, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    usual = {k: v for k, v in os.environ.items() if not k.startswith(("CREWSHIP_", "DJANGO_"))}
    env = {**usual, "CREWSHIP_DATA_DIR": str(folder / "data"), "HOME": str(folder), **more}
    return subprocess.run([CREWSHIP, *args], env=env, capture_output=True, text=True, cwd=folder)
