"""docs/errors.md says every code that this product can answer with, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from crewship.domain import errors
from crewship.domain.meanings import TEXTS
from crewship.management.commands import error_page
from crewship.management.commands.error_page import PACKAGES, read_sources, render
from crewship.web.problems import CODE_OF_STATUS, STATUS_OF
from tests.fuzz.codes import codes

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "errors.md").read_text()
LISTED = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def rows(code: str) -> list[list[str]]:
    lines = [line for line in PAGE.split("\n") if line.startswith(f"| `{code}` |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def classes(of: type[errors.CrewshipError]) -> list[type[errors.CrewshipError]]:
    return [of, *(sub for direct in of.__subclasses__() for sub in classes(direct))]


def test_the_page_is_up_to_date() -> None:
    """If not: `python manage.py error_page`; it says which meaning is missing."""
    assert render(read_sources(ROOT)) == PAGE


def test_every_code_argument_and_class_code_of_the_sources_is_on_the_page() -> None:
    written = {
        code
        for path in sources()
        for code in re.findall(r"\bcode\b(?:: [\w\[\]]+)? ?= ?\"(\w+)\"", path.read_text())
    }
    assert len(written) > 60
    assert written - LISTED == set()


def test_every_code_that_reading_a_config_can_produce_is_on_the_page() -> None:
    assert set(codes()) - LISTED == set()


def test_every_code_of_a_loaded_class_and_of_a_status_is_on_the_page() -> None:
    ours = {cls.code for cls in classes(errors.CrewshipError) if cls.__module__[:6] != "tests."}
    assert (ours | set(CODE_OF_STATUS.values())) - LISTED == set()


@pytest.mark.parametrize(("base", "status"), STATUS_OF)
def test_the_statuses_are_those_of_the_api(base: type[errors.CrewshipError], status: int) -> None:
    [row] = [row for row in rows(base.code) if row[2] in {base.__name__, "ConfigInvalid"}]
    assert row[1] == str(status)


def test_a_code_has_its_class_meaning_and_hint() -> None:
    [row] = rows("lock_mismatch")
    assert row[2] == "LockMismatch"
    assert row[3] == "A lock given with the config names content that the registry does not have."
    assert row[4] == errors.LockMismatch.hint


def test_a_hint_is_inherited_and_one_of_the_raise_site_wins() -> None:
    assert rows("job_timeout")[0][4] == errors.BuildTimeout.hint
    assert rows("nothing_resolved")[0][4] == "Provision the crew first."


def write(folder: Path, text: str) -> Path:
    for package in PACKAGES:
        (folder / package).mkdir()
    (folder / "cache" / "new.py").write_text(text)
    return folder


@pytest.mark.parametrize(
    "text",
    [
        'class New(CrewshipError):\n    code = "brand_new"\n',
        'raise NotFound("x", code="brand_new")\n',
        'raise NotFound("x", code="brand_new" if x else "other_new")\n',
        'findings.problem(path, "brand_new", "words")\n',
        'findings.warn(path, code="brand_new", message="words")\n',
        'def f():\n    code, text = "brand_new", "x"\n    findings.problem(path, code, text)\n',
        'Diagnosis("brand_new", "do this")\n',
    ],
)
def test_a_code_without_a_meaning_is_named(text: str, tmp_path: Path) -> None:
    root = "class CrewshipError(Exception):\n    pass\nclass NotFound(CrewshipError):\n    pass\n"
    root += "class BuildStepFailed(CrewshipError):\n    pass\n"
    with pytest.raises(CommandError, match=r"no meaning for .*brand_new"):
        render(read_sources(write(tmp_path, root + text)))


def test_a_meaning_of_what_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_page, "TEXTS", {**TEXTS, "long_gone": "…"})
    with pytest.raises(CommandError, match="long_gone"):
        render(read_sources(ROOT))


def test_the_check_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("error_page", "--check")
    assert "up to date" in capsys.readouterr().out
    assert (ROOT / "docs" / "errors.md").read_text() == PAGE
