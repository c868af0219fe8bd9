"""Problems and warnings of a crew, each at its place: a field, or a stretch of a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crewship.crews.models import Crew
from crewship.crews.services import FIELDS, TEXTS, check_crew
from crewship.devcontainer.jsonc import LINE_END
from crewship.devcontainer.places import BOM, spans
from crewship.domain.errors import ConfigInvalid, Problem

MOST: Final = 100  # are shown; a text of 100 KB can have thousands
LABELS: Final = {
    "devcontainer_config": "devcontainer.json",
    "mise_config": "mise config",
    "lock_config": "lock",
}
# A devcontainer config may have keys that are called like fields of the crew.
_OF_TEXT: Final = {"key_ignored", "duplicate_key"}


@dataclass(frozen=True, slots=True)
class Finding:
    """``start`` and ``end`` are offsets as JavaScript counts them (UTF-16), in the field's text
    with LF line endings; None where the text has no such place."""

    is_problem: bool
    field: str
    path: str
    code: str
    message: str
    line: int | None = None
    column: int | None = None
    start: int | None = None
    end: int | None = None

    @property
    def label(self) -> str:
        return LABELS.get(self.field, self.field.replace("_", " "))

    def as_mark(self) -> dict[str, Any]:  # Any: JSON
        return {
            "field": self.field,
            "problem": self.is_problem,
            "line": self.line,
            "start": self.start,
            "end": self.end,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Findings:
    shown: tuple[Finding, ...] = ()
    problems: int = 0
    warnings: int = 0

    @property
    def left_out(self) -> int:
        return self.problems + self.warnings - len(self.shown)

    @property
    def summary(self) -> str:
        """For people who don't see the marks: ``2 problems, 1 warning``."""
        counts = ((self.problems, "problem"), (self.warnings, "warning"))
        parts = [f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in counts if n]
        return ", ".join(parts) or "No problems"

    def of_field(self, name: str) -> list[Finding]:
        return [finding for finding in self.shown if finding.field == name]


def check(crew: Crew, values: Mapping[str, Any]) -> Findings:
    """What saving ``values`` would say, with nothing saved. The texts have LF line endings."""
    texts = {name: values.get(name) or "" for name in TEXTS}
    try:
        return place(check_crew(crew, values), (), texts)
    except ConfigInvalid as err:
        return place((), err.problems, texts)


def place(
    warnings: Sequence[Problem], problems: Sequence[Problem], texts: Mapping[str, str]
) -> Findings:
    some = [(p, True) for p in problems[:MOST]]
    some += [(w, False) for w in warnings[: MOST - len(some)]]
    by_field: dict[str, list[tuple[Problem, bool]]] = {}
    for problem, is_problem in some:
        by_field.setdefault(field_of(problem), []).append((problem, is_problem))
    shown = [
        finding
        for name in (*FIELDS, *(set(by_field) - set(FIELDS)))
        for finding in _of_field(name, by_field.get(name, ()), texts.get(name))
    ]
    return Findings(tuple(shown), len(problems), len(warnings))


def field_of(problem: Problem) -> str:
    """The crew's field that a problem is about: of the devcontainer config's own paths, that."""
    root = problem.path.partition(".")[0]
    if root in TEXTS and (problem.path != root or problem.code not in _OF_TEXT):
        return root
    of_text = problem.code in _OF_TEXT or (root == "name" and problem.code == "wrong_type")
    return root if root in FIELDS and not of_text else "devcontainer_config"


def _of_field(
    name: str, found: Iterable[tuple[Problem, bool]], text: str | None
) -> Iterable[Finding]:
    found = list(found)
    if text is None:
        return [Finding(bad, name, p.path, p.code, p.message) for p, bad in found]
    inner = [p.path.removeprefix(name).removeprefix(".") for p, _ in found]
    lines = _line_starts(text)
    out = []
    for (problem, bad), at in zip(found, spans(text, inner), strict=True):
        line, column, start, end = problem.line, problem.column, None, None
        if line is not None and column is not None and line <= len(lines):
            bom = len(BOM) if line == 1 and text.startswith(BOM) else 0
            start = min(lines[line - 1] + bom + column - 1, len(text))
            end = _end_of_word(text, start)
        elif at is not None:
            line, column, start, end = at.line, at.column, at.start, at.end
        place = (None, None) if start is None else (_utf16(text, start), _utf16(text, end or 0))
        finding = Finding(
            bad, name, problem.path, problem.code, problem.message, line, column, *place
        )
        out.append(finding)
    return sorted(out, key=lambda f: (not f.is_problem, f.start is None, f.start or 0))


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in LINE_END.finditer(text))]


def _end_of_word(text: str, start: int) -> int:
    end = start
    while end < len(text) and (text[end].isalnum() or text[end] in '_"-'):
        end += 1
    return max(end, min(start + 1, len(text)))


def _utf16(text: str, offset: int) -> int:
    return len(text[:offset].encode("utf-16-le", "surrogatepass")) // 2
