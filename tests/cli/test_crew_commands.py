"""``crewship crew …`` by slug and id, against the API: what is stored, printed and refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cache.models import CachedImage, DockerHost
from crewship.cli.texts import KINDS, write_project
from crewship.crews.models import Agent, Crew
from crewship.domain.errors import ConfigError
from provisioning.models import AgentVolume, ProvisionJob
from provisioning.states import EventKind, JobState
from provisioning.transfer import FIELD_OF
from provisioning.transitions import record
from tests.cast import CONFIG, Cast
from tests.cli.conftest import Crewship
from tests.conftest import JobMaker

ODD = '\ufeff{\r\n  // größe 🚢\r\n  "image": "debian:12",\t\r\n}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with all three texts."""
    place = tmp_path / "My-Project"
    (place / ".devcontainer").mkdir(parents=True)
    (place / ".devcontainer/devcontainer.json").write_bytes(ODD.encode())
    (place / ".devcontainer/devcontainer-lock.json").write_text('{"features": {}}')
    (place / "mise.toml").write_text('[tools]\nnode = "22"\n')
    return place


def test_a_crew_is_made_of_files_byte_for_byte(crewship: Crewship, folder: Path) -> None:
    result = crewship(
        *("crew", "create", "--slug", "api", "--config", str(folder)),
        *("--mise", str(folder / "mise.toml")),
    )
    assert result.exit_code == 0
    assert "✓ created api (crw_" in result.stdout
    assert "crewship crew provision api" in result.stderr
    crew = Crew.objects.get(slug="api")
    assert (crew.name, crew.devcontainer_config) == ("api", ODD)
    assert crew.mise_config == '[tools]\nnode = "22"\n'


def test_problems_are_listed_with_path_line_and_column(crewship: Crewship, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{\n  "image": ]\n}')
    result = crewship("crew", "create", "--slug", "api", "--config", str(tmp_path / "c.json"))
    assert result.exit_code == 2
    assert "devcontainer_config:2:12: " in result.stderr
    (tmp_path / "c.json").write_text('{"privileged": true, "build": {}}')
    result = crewship("crew", "create", "--slug", "api", "--config", str(tmp_path / "c.json"))
    assert "crewship: 2 problems:" in result.stderr
    assert "  privileged: " in result.stderr
    assert "  build: " in result.stderr


def test_warnings_are_beside_the_result(crewship: Crewship, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"unheard": 1}')
    result = crewship("crew", "create", "--slug", "api", "--config", str(tmp_path / "c.json"))
    assert "! warning  unheard: " in result.stderr
    assert "warning" not in result.stdout


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff"])
def test_a_file_with_nothing_to_read_is_refused(
    content: bytes, crewship: Crewship, tmp_path: Path
) -> None:
    (tmp_path / "c.json").write_bytes(content)
    for command in (
        ("create", "--slug", "api", "--config", str(tmp_path / "c.json")),
        ("config", "backend", "--set", str(tmp_path / "c.json")),
        ("import", str(tmp_path / "c.json")),
    ):
        result = crewship("crew", *command)
        assert (result.exit_code, result.stdout) == (2, "")
    assert list(Crew.objects.values_list("devcontainer_config", flat=True).filter(slug="api")) == []


def test_a_folder_without_a_config_says_where_it_looked(crewship: Crewship, tmp_path: Path) -> None:
    result = crewship("crew", "create", "--slug", "api", "--config", str(tmp_path))
    assert result.exit_code == 2
    assert ".devcontainer/devcontainer.json" in result.stderr


@pytest.mark.parametrize("by_id", [False, True])
def test_a_crew_is_found_by_slug_and_by_id(by_id: bool, crewship: Crewship, cast: Cast) -> None:
    name = cast.crew.pk if by_id else "backend"
    assert crewship.json("crew", "show", name)["id"] == cast.crew.pk


def test_a_typo_is_answered_with_similar_slugs(crewship: Crewship) -> None:
    result = crewship("crew", "show", "backedn")
    assert result.exit_code == 2
    assert result.stderr == "crewship: There is no crew 'backedn' here.\nDid you mean backend?\n"


@pytest.mark.parametrize(
    "name", ["strange", "crw_01ARZ3NDEKTSV4RRFFQ69G5FAV", "crw_", "a/../b", ""]
)
def test_a_crew_that_is_not_here_is_not_found(name: str, crewship: Crewship) -> None:
    assert crewship("crew", "show", name).exit_code == 2


def test_a_foreign_id_is_not_found(crewship: Crewship, cast: Cast) -> None:
    assert crewship("crew", "show", cast.strange_crew.pk).exit_code == 2


def test_the_list_has_a_glyph_and_a_word_for_each_status(
    crewship: Crewship, cached: CachedImage
) -> None:
    assert "✓ completed" in crewship("crew", "list").stdout
    assert cached.tag in crewship("crew", "list").stdout


def test_the_config_is_printed_byte_for_byte(crewship: Crewship, cast: Cast) -> None:
    cast.crew.devcontainer_config = ODD
    cast.crew.save()
    assert crewship("crew", "config", "backend", by="vera").stdout_bytes == ODD.encode()


def test_a_config_can_be_set_and_cleared(crewship: Crewship, folder: Path, cast: Cast) -> None:
    assert crewship("crew", "config", "backend", "--set", str(folder)).exit_code == 0
    mise = ("crew", "config", "backend", "--text", "mise")
    assert crewship(*mise, "--set", "-", stdin='{"tools": {"node": "20"}}').exit_code == 0
    cast.crew.refresh_from_db()
    assert cast.crew.devcontainer_config == ODD
    assert cast.crew.mise_config == '{"tools": {"node": "20"}}'
    assert crewship(*mise, "--clear").exit_code == 0
    assert crewship.json(*mise) == {"mise_config": None}


def test_a_member_may_not_change_a_config(crewship: Crewship, folder: Path, cast: Cast) -> None:
    result = crewship("crew", "config", "backend", "--set", str(folder), by="bob")
    assert result.exit_code == 2
    cast.crew.refresh_from_db()
    assert cast.crew.devcontainer_config == CONFIG


def test_a_folder_is_imported_with_all_its_texts(crewship: Crewship, folder: Path) -> None:
    assert crewship("crew", "import", str(folder)).exit_code == 0
    crew = Crew.objects.get(slug="my-project")
    assert crew.devcontainer_config == ODD
    assert crew.mise_config == '[tools]\nnode = "22"\n'
    assert crew.lock_config == '{"features": {}}'


def test_an_export_can_be_imported(crewship: Crewship, cast: Cast, tmp_path: Path) -> None:
    file = tmp_path / "crew.json"
    file.write_text(crewship("crew", "export", "backend").stdout)
    again = crewship("crew", "import", str(file))
    assert again.exit_code == 2  # the slug is taken
    assert "slug" in again.stderr
    assert crewship("crew", "import", str(file), "--slug", "copy").exit_code == 0
    copy = Crew.objects.get(slug="copy")
    assert (copy.devcontainer_config, copy.config_hash) == (CONFIG, cast.crew.config_hash)


def test_an_export_becomes_files_and_replaces_none(crewship: Crewship, tmp_path: Path) -> None:
    assert crewship("crew", "export", "backend", "--to", str(tmp_path)).exit_code == 0
    file = tmp_path / ".devcontainer/devcontainer.json"
    assert file.read_text() == CONFIG
    file.write_text("{}")
    assert crewship("crew", "export", "backend", "--to", str(tmp_path)).exit_code == 2
    assert file.read_text() == "{}"


def test_a_server_cannot_write_elsewhere(tmp_path: Path) -> None:
    for name in ("../x", "/x", ".bashrc", ".devcontainer/../../x"):
        with pytest.raises(ConfigError):
            write_project(tmp_path / "a", {"mise.toml": "x", name: "y"})
    assert not (tmp_path / "a").exists()


def test_the_files_of_a_project_are_those_that_the_server_takes() -> None:
    assert {name for names in KINDS for name in names} == set(FIELD_OF)


def test_deleting_asks_unless_told_not_to(crewship: Crewship, cast: Cast) -> None:
    assert crewship("crew", "delete", "backend").exit_code == 2
    assert Crew.objects.filter(pk=cast.crew.pk).exists()
    assert crewship("crew", "delete", "backend", "--yes").exit_code == 0
    assert not Crew.objects.filter(pk=cast.crew.pk).exists()


def test_what_becomes_of_volumes_has_to_be_said(
    crewship: Crewship, cast: Cast, host: DockerHost
) -> None:
    AgentVolume.objects.create(
        host_name="elsewhere", name="data", crew_id=cast.crew.pk, target="/data"
    )
    refused = crewship("crew", "delete", "backend", "--yes")
    assert (refused.exit_code, "data" in refused.stderr) == (2, True)
    assert "`--volumes keep` or `--volumes delete`" in refused.stderr
    assert "?volumes" not in refused.stderr
    assert crewship("crew", "delete", "backend", "--yes", "--volumes", "keep").exit_code == 0
    assert AgentVolume.objects.get().delete_at is None


def test_an_agent_that_is_not_restarted_is_told(
    crewship: Crewship, cast: Cast, host: DockerHost
) -> None:
    Agent.objects.create(crew=cast.crew, name="writer", command="true", wants_running=True)
    result = crewship("crew", "restart-agents", "backend")
    assert result.exit_code == 1
    assert "restarted 0 agents" in result.stdout
    assert "writer was not restarted: The crew has no image" in result.stderr


def test_status_fails_when_the_latest_job_failed(
    crewship: Crewship, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew, JobState.FAILED, error="exit code 3\n\x1b]0;title\x07last words")
    result = crewship("crew", "provision", "status", "backend")
    assert result.exit_code == 1
    assert "✗ failed" in result.stdout
    assert result.stderr.startswith("exit code 3\nlast words\n")
    assert crewship("crew", "provision", "status", "backend", "--json").exit_code == 1


def test_status_shows_the_steps_of_a_running_job(
    crewship: Crewship, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew, JobState.RUNNING, step=3, message="installing (2 of 3: node)")
    result = crewship("crew", "provision", "status", "backend")
    assert result.exit_code == 0
    for line in ("✓ done", "● running", "○ waiting", "installing (2 of 3: node)"):
        assert line in result.stdout


def test_a_start_that_nobody_watches_answers_at_once(
    crewship: Crewship, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew, JobState.COMPLETED)  # brings the host
    result = crewship("crew", "provision", "backend", "--no-watch")
    assert result.exit_code == 0
    assert "crewship crew provision status backend" in result.stdout
    second = crewship("crew", "provision", "--no-watch", "--json", "backend")
    assert second.exit_code == 2
    assert json.loads(second.stdout)["job_status"] == "pending"


def test_an_active_job_can_be_cancelled(crewship: Crewship, cast: Cast, make_job: JobMaker) -> None:
    make_job(cast.crew)
    assert "⊘ cancelled" in crewship("crew", "cancel", "backend").stdout
    assert "no active job" in crewship("crew", "cancel", "backend").stdout
    assert ProvisionJob.objects.get().state == JobState.CANCELLED


def test_logs_are_whole_and_without_control_characters(
    crewship: Crewship, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.COMPLETED)
    lines = [f"\x1b[31mline {n}\x1b[0m" for n in range(100)]
    record(job.pk, [(EventKind.OUTPUT, 3, {"lines": lines})])
    shown = crewship("crew", "logs", "backend").stdout
    assert shown.splitlines() == [f"| line {n}" for n in range(100)]


def test_a_crew_without_jobs_has_no_log(crewship: Crewship) -> None:
    result = crewship("crew", "logs", "backend")
    assert result.exit_code == 2
    assert "crewship crew provision backend" in result.stderr


def test_the_shell_completes_slugs(crewship: Crewship) -> None:
    asked = {"COMP_WORDS": "crewship crew show ba", "COMP_CWORD": "3"}
    result = crewship(_CREWSHIP_COMPLETE="complete_bash", **asked)
    assert result.stdout.split() == ["backend"]


def test_of_a_log_that_was_removed_it_says_when(
    crewship: Crewship, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.COMPLETED, log_pruned_at=datetime(2026, 5, 1, tzinfo=UTC))
    result = crewship("crew", "logs", "backend", "--job", job.pk)
    assert result.exit_code == 2
    assert "The log of this job was removed on 2026-05-01." in result.stderr
    assert result.stdout == ""
